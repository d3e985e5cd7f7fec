// The strip below: the whole run in little, with the part in view; a click or drag moves there.

const OVERVIEW = 40;

function drawOverview(canvas, data, view, colours) {
  const { pen, width } = fitCanvas(canvas, OVERVIEW);
  const x = (time) => GUTTER + (time / data.end) * (width - GUTTER);
  pen.fillStyle = colours.inset;
  pen.fillRect(0, 0, width, OVERVIEW);
  pen.fillStyle = colours.fault;
  pen.globalAlpha = 0.25;
  for (const fault of data.faults) {
    if (!fault.disturbs) continue;
    pen.fillRect(x(fault.from), 0, Math.max(x(fault.until) - x(fault.from), 1.5), OVERVIEW);
  }
  pen.globalAlpha = 1;
  const counts = density(data, Math.max(Math.floor((width - GUTTER) / 3), 1));
  const tallest = Math.max(...counts, 1);
  pen.fillStyle = colours.ok;
  counts.forEach((count, index) => {
    const height = (count / tallest) * (OVERVIEW - 10);
    pen.fillRect(GUTTER + index * 3, OVERVIEW - 2 - height, 2.5, height);
  });
  pen.fillStyle = colours.text;
  for (const op of data.labels.keys()) pen.fillRect(x(data.ops.from[op]) - 1, 0, 2, 7);
  const from = x(view.from);
  const until = Math.max(x(view.until), from + 3);
  pen.fillStyle = colours.accent;
  pen.globalAlpha = 0.16;
  pen.fillRect(from, 0, until - from, OVERVIEW);
  pen.globalAlpha = 1;
  pen.strokeStyle = colours.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(from + 0.75, 0.75, until - from - 1.5, OVERVIEW - 1.5);
  pen.font = "11.5px system-ui, sans-serif";
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillStyle = colours.muted;
  pen.fillText("whole run", 12, OVERVIEW / 2);
}

function density(data, columns) {
  if (data.densityOf === columns) return data.density;
  const counts = new Array(columns).fill(0);
  for (let i = 0; i < data.ops.count; i++) {
    counts[Math.min(Math.floor((data.ops.from[i] / data.end) * columns), columns - 1)]++;
  }
  data.densityOf = columns;
  data.density = counts;
  return counts;
}

function wireOverview(canvas, data, view) {
  const go = (event) => {
    const box = canvas.getBoundingClientRect();
    const at = ((event.clientX - box.left - GUTTER) / (box.width - GUTTER)) * data.end;
    view.centre(at, at);
  };
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    go(event);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons) go(event);
  });
}
