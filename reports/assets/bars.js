// The operations themselves: each result with its own texture.

function drawLane(frame, data, lane) {
  const { pen, x, view, colours } = frame;
  const { ops } = data;
  pen.fillStyle = colours.line;
  pen.fillRect(GUTTER, lane.y + lane.height - 1, frame.width, 0.5);
  const list = lane.client.ops;
  const end = firstAfter(ops, list, view.until);
  let begin = firstAfter(ops, list, view.from);
  while (begin > 0 && ops.until[list[begin - 1]] >= view.from) begin--;
  let painted = -1;
  let paintedResult = -1;
  for (let i = begin; i < end; i++) {
    const op = list[i];
    const from = x(ops.from[op]);
    const until = Math.max(x(ops.until[op]), from + 1);
    const result = ops.result[op];
    if (until <= painted && result <= paintedResult) continue;
    drawBar(frame, data, op, lane.y + 2, lane.height - 5, from, until);
    painted = Math.ceil(until);
    paintedResult = result;
  }
  for (const op of lane.client.watches) drawWatch(frame, data, op, lane.y + lane.height - 3);
}

function drawBar(frame, data, op, y, height, from, until) {
  const { pen, colours } = frame;
  const name = data.results[data.ops.result[op]];
  const width = until - from;
  const colour = colours[name];
  pen.fillStyle = colour;
  if (name === "ok" || width < 5) {
    pen.fillRect(from, y, width > 3 ? width - 0.5 : width, height);
  } else {
    if (name === "refused") pen.fillRect(from, y, width, height);
    if (name === "unknown") hatch(frame, from, y, width, height, colour);
    pen.strokeStyle = name === "refused" ? colours.text : colour;
    pen.lineWidth = 1.5;
    pen.setLineDash(name === "unknown" ? [4, 2] : []);
    pen.strokeRect(from + 0.75, y + 0.75, width - 1.5, height - 1.5);
    pen.setLineDash([]);
  }
  if (width > 46 && height >= 11) {
    const ink = name === "ok" || name === "refused" ? colours.card : colours.text;
    const revision = data.ops.revision[op];
    const asked = data.texts[data.ops.asked[op]];
    fitText(frame, revision > 0 ? `${asked} → ${revision}` : asked, from, until, y + height / 2, ink);
  }
}

function hatch({ pen }, x, y, width, height, colour) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  pen.strokeStyle = colour;
  pen.globalAlpha = 0.55;
  pen.lineWidth = 1;
  pen.beginPath();
  const first = Math.max(x, GUTTER) - height;
  const last = Math.min(x + width, pen.canvas.clientWidth);
  for (let at = first - (first % 6); at < last; at += 6) {
    pen.moveTo(at, y + height);
    pen.lineTo(at + height, y);
  }
  pen.stroke();
  pen.restore();
}

// A watch is a thin line under its client's bars, with a tick a message.
function drawWatch({ pen, x, view, colours }, data, op, y) {
  const { ops } = data;
  if (ops.from[op] > view.until || ops.until[op] < view.from) return;
  pen.fillStyle = colours[data.results[ops.result[op]]];
  pen.fillRect(x(ops.from[op]), y, Math.max(x(ops.until[op]) - x(ops.from[op]), 1), 1.5);
  for (const message of data.messages.get(op) ?? []) pen.fillRect(x(message.at) - 0.5, y - 2, 1.5, 4);
}

function drawWitness(frame, data, layout) {
  const { pen, colours } = frame;
  for (const [op, label] of data.labels) {
    const box = outline(frame, data, layout, op, colours["witness-ground"], 5);
    if (!box) continue;
    outline(frame, data, layout, op, colours.text, 1.5);
    pen.font = "700 11px system-ui, sans-serif";
    const width = pen.measureText(label).width + 9;
    const left = Math.max(box.from - width - 4, GUTTER + 2);
    pen.fillStyle = colours["witness-ground"];
    pen.strokeStyle = colours.text;
    pen.lineWidth = 1;
    pen.fillRect(left, box.y, width, box.height);
    pen.strokeRect(left, box.y, width, box.height);
    pen.fillStyle = colours.witness;
    pen.textAlign = "center";
    pen.fillText(label, left + width / 2, box.y + box.height / 2 + 0.5);
  }
}

function outline({ pen, x, width, view }, data, layout, op, colour, line) {
  const { ops } = data;
  const lane = layout.clients.find((one) => one.client.index === ops.client[op]);
  if (!lane || ops.until[op] < view.from || ops.from[op] > view.until) return null;
  const from = Math.max(x(ops.from[op]), GUTTER - 6);
  const until = Math.min(Math.max(x(ops.until[op]), from + 3), width + 6);
  const box = { from, y: lane.y + 1, height: lane.height - 3 };
  pen.strokeStyle = colour;
  pen.lineWidth = line;
  pen.strokeRect(from - 1, box.y, until - from + 2, box.height);
  return box;
}
