// Putting it together: the timeline, the copy buttons, the theme.

function startTimeline() {
  const data = readIsland();
  const byId = (id) => document.getElementById(id);
  const [canvas, overview, stage] = [byId("canvas"), byId("overview"), byId("stage")];
  if (data.ops.count === 0 && data.spans.length === 0) {
    stage.hidden = true;
    return null;
  }
  const layout = makeLanes(data);
  let colours = readColours();
  let waiting = false;
  const redraw = () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      drawTimeline(canvas, data, view, layout, colours, focus.op);
      drawOverview(overview, data, view, colours);
    });
  };
  const view = makeView(data, () => redraw());
  const tip = makeTooltip(stage, byId("tip"), data);
  const focus = makeFocus(canvas, data, view, layout, tip, byId("spoken"), redraw);
  wireInput(canvas, data, view, layout, tip, focus);
  wireOverview(overview, data, view);
  byId("to-whole").addEventListener("click", () => view.whole());
  byId("to-witness").addEventListener("click", () => view.witness());
  byId("to-witness").disabled = data.labels.size === 0;
  byId("zoom-in").addEventListener("click", () => view.zoom(0.5));
  byId("zoom-out").addEventListener("click", () => view.zoom(2));
  for (const button of document.querySelectorAll("[data-op]")) {
    button.addEventListener("click", () => showOp(data, view, focus, canvas, Number(button.dataset.op)));
  }
  new ResizeObserver(redraw).observe(stage);
  redraw();
  return () => {
    colours = readColours();
    redraw();
  };
}

function showOp(data, view, focus, canvas, id) {
  const op = data.ops.id.indexOf(id);
  if (op < 0) return;
  canvas.scrollIntoView({ block: "center" });
  view.centre(data.ops.from[op], data.ops.until[op]);
  canvas.focus({ preventScroll: true });
  focus.set(op);
}

function wireCopy() {
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const done = await copy(button.dataset.copy, button);
      button.textContent = done ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 1600);
    });
  }
}

// Where the clipboard is closed to pages from disk, the command is selected instead.
async function copy(text, button) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const code = button.parentElement.querySelector("code");
    getSelection().selectAllChildren(code);
    return document.execCommand("copy");
  }
}

function wireTheme(recolour) {
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  document.getElementById("theme").addEventListener("click", () => {
    const now = root.dataset.theme ?? (dark.matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    recolour?.();
  });
  dark.addEventListener("change", () => recolour?.());
}

wireCopy();
wireTheme(startTimeline());
