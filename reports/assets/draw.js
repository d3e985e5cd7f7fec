// Painting. Bars that fall on a pixel already painted the same way are skipped, so that a whole run
// costs no more than its pixels.

function readColours() {
  const names = [
    "card", "inset", "line", "line-strong", "text", "muted", "faint", "ok", "definite", "refused", "unknown",
    "witness", "witness-ground", "fault", "up", "leads", "down", "paused", "accent",
  ];
  // A property's own value is still both colours, that for light and that for dark.
  const probe = document.body.appendChild(document.createElement("i"));
  const colour = (name) => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(names.map((name) => [name, colour(name)]));
  probe.remove();
  return colours;
}

function fitCanvas(canvas, height) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  canvas.style.height = `${height}px`;
  if (canvas.width !== Math.round(width * ratio)) canvas.width = Math.round(width * ratio);
  if (canvas.height !== Math.round(height * ratio)) canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { pen, width };
}

function drawTimeline(canvas, data, view, layout, colours, focused) {
  const { pen, width } = fitCanvas(canvas, layout.height);
  const scale = (width - GUTTER) / (view.until - view.from);
  const x = (time) => GUTTER + (time - view.from) * scale;
  const frame = { pen, width, height: layout.height, x, view, colours };
  pen.clearRect(0, 0, width, layout.height);
  pen.fillStyle = colours.card;
  pen.fillRect(0, 0, width, layout.height);
  pen.textBaseline = "middle";
  pen.save();
  pen.beginPath();
  pen.rect(GUTTER, 0, width - GUTTER, layout.height);
  pen.clip();
  drawAxis(frame);
  drawPhases(frame, data.phases, layout);
  drawFaults(frame, data.faults, layout);
  for (const member of layout.members) drawMember(frame, data, member);
  for (const lane of layout.clients) drawLane(frame, data, lane);
  drawWitness(frame, data, layout);
  if (focused >= 0) outline(frame, data, layout, focused, colours.accent, 2);
  pen.restore();
  drawGutter(frame, layout);
}

function drawAxis({ pen, width, height, x, view, colours }) {
  const step = niceStep((view.until - view.from) / Math.max((width - GUTTER) / 110, 1));
  pen.font = "11px system-ui, sans-serif";
  pen.textAlign = "left";
  for (let time = Math.ceil(view.from / step) * step; time <= view.until; time += step) {
    const at = Math.round(x(time)) + 0.5;
    pen.fillStyle = colours.line;
    pen.fillRect(at, AXIS - 4, 1, height);
    pen.fillStyle = colours.muted;
    pen.fillText(axisLabel(time, step), at + 4, AXIS / 2);
  }
}

function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least);
}

function axisLabel(time, step) {
  if (step >= 1e5) return `${(time / 1e6).toFixed(step >= 1e6 ? 0 : 1)} s`;
  return `${(time / 1000).toFixed(step >= 1000 ? 0 : step >= 100 ? 1 : 2)} ms`;
}

function drawPhases(frame, phases, layout) {
  const { pen, x, colours } = frame;
  phases.forEach((phase, index) => {
    const from = x(phase.from);
    const until = x(phase.until);
    pen.fillStyle = index % 2 ? colours["line-strong"] : colours.line;
    pen.globalAlpha = 0.7;
    pen.fillRect(from, layout.phases, until - from, ROW - 3);
    pen.globalAlpha = 1;
    pen.fillStyle = colours["line-strong"];
    pen.fillRect(from, layout.phases, 1, frame.height);
    fitText(frame, phase.name, from, until, layout.phases + (ROW - 3) / 2, colours.text);
  });
}

function drawFaults(frame, faults, layout) {
  const { pen, x, colours } = frame;
  faults.forEach((fault, index) => {
    const from = x(fault.from);
    const until = Math.max(x(fault.until), from + 2);
    if (until < GUTTER || from > frame.width) return;
    const y = layout.faults + layout.faultRows.of[index] * ROW;
    const loud = fault.disturbs;
    pen.fillStyle = loud ? colours.fault : colours.faint;
    if (loud) {
      pen.globalAlpha = 0.1;
      pen.fillRect(from, y, until - from, frame.height - y);
    }
    pen.globalAlpha = 0.3;
    pen.fillRect(from, y, until - from, ROW - 3);
    pen.globalAlpha = 1;
    pen.fillRect(from, y, 1.5, loud ? frame.height - y : ROW - 3);
    const next = faults.find((one, i) => i > index && layout.faultRows.of[i] === layout.faultRows.of[index]);
    const room = Math.max(until, Math.min(next ? x(next.from) - 4 : frame.width, from + 160));
    const label = fault.state === "done" ? fault.label : `${fault.label} (${fault.state})`;
    fitText(frame, label, from + 2, room, y + (ROW - 3) / 2, colours.text);
  });
}

function drawMember(frame, data, member) {
  const { pen, x, colours } = frame;
  for (const span of data.spans) {
    if (span.member !== member.index) continue;
    const from = Math.max(x(span.from), GUTTER - 2);
    const until = Math.min(x(span.until), frame.width + 2);
    if (until <= from) continue;
    const { y, height } = member;
    if (span.state === "up") {
      pen.fillStyle = colours.up;
      pen.fillRect(from, y + 3, until - from, height - 6);
    } else if (span.state === "leads") {
      pen.fillStyle = colours.leads;
      pen.fillRect(from, y + height - 4, until - from, 3);
    } else {
      const colour = colours[span.state];
      if (span.state === "paused") hatch(frame, from, y + 1, until - from, height - 2, colour);
      pen.strokeStyle = colour;
      pen.lineWidth = 1.5;
      pen.setLineDash(span.state === "down" ? [4, 3] : []);
      pen.strokeRect(from + 0.75, y + 1.75, Math.max(until - from - 1.5, 1), height - 3.5);
      pen.setLineDash([]);
      fitText(frame, span.state, from, until, y + height / 2, colours.text);
    }
  }
}

function drawGutter(frame, layout) {
  const { pen, colours } = frame;
  pen.fillStyle = colours["line-strong"];
  pen.fillRect(GUTTER - 1, 0, 1, frame.height);
  pen.textAlign = "left";
  pen.font = "11.5px system-ui, sans-serif";
  pen.fillStyle = colours.muted;
  pen.fillText("phase", 12, layout.phases + ROW / 2 - 1);
  if (layout.body - layout.faults > ROW / 2) pen.fillText("faults", 12, layout.faults + ROW / 2 - 1);
  for (const lane of layout.clients) pen.fillText(lane.name, 26, lane.y + lane.height / 2);
  pen.font = "600 12px system-ui, sans-serif";
  pen.fillStyle = colours.text;
  for (const member of layout.members) pen.fillText(member.name, 12, member.y + member.height / 2);
}

// Text between two x, cut with an ellipsis; nothing where there is no room.
function fitText({ pen, width }, text, from, until, y, colour) {
  const left = Math.max(from, GUTTER) + 4;
  const room = Math.min(until, width) - left - 3;
  if (room < 14) return;
  pen.font = "11px system-ui, sans-serif";
  pen.textAlign = "left";
  let shown = text;
  if (pen.measureText(text).width > room) {
    const part = Math.floor((text.length * room) / pen.measureText(text).width) - 1;
    if (part < 3) return;
    shown = `${text.slice(0, part)}…`;
  }
  pen.fillStyle = colour;
  pen.fillText(shown, left, y);
}
