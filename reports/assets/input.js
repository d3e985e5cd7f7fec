// Pointer, wheel and keys on the timeline.

function wireInput(canvas, data, view, layout, tip, focus) {
  const timeAt = (event) => {
    const box = canvas.getBoundingClientRect();
    return view.from + ((event.clientX - box.left - GUTTER) / (box.width - GUTTER)) * (view.until - view.from);
  };
  const hitAt = (event) => {
    const box = canvas.getBoundingClientRect();
    return under(data, view, layout, box.width, event.clientX - box.left, event.clientY - box.top);
  };

  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      view.zoom(Math.exp(Math.max(-1, Math.min(event.deltaY / 120, 1)) * 0.35), timeAt(event));
    } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      event.preventDefault();
      view.pan((event.deltaX || event.deltaY) / 900);
    } else if (document.activeElement === canvas) {
      event.preventDefault();
      view.zoom(Math.exp(Math.max(-1, Math.min(event.deltaY / 120, 1)) * 0.25), timeAt(event));
    }
  }, { passive: false });

  let drag = null;
  canvas.addEventListener("pointerdown", (event) => {
    drag = { x: event.clientX, from: view.from, until: view.until, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (drag && event.buttons) {
      const by = ((event.clientX - drag.x) / (canvas.clientWidth - GUTTER)) * (drag.until - drag.from);
      drag.moved ||= Math.abs(event.clientX - drag.x) > 3;
      if (!drag.moved) return;
      canvas.classList.add("dragging");
      tip.hide();
      view.show(drag.from - by, drag.until - by);
      return;
    }
    const hit = hitAt(event);
    if (hit) tip.show(hit, event.offsetX, event.offsetY);
    else tip.hide();
  });
  canvas.addEventListener("pointerup", (event) => {
    canvas.classList.remove("dragging");
    const hit = drag && !drag.moved ? hitAt(event) : null;
    if (hit?.type === "op") focus.set(hit.op);
    drag = null;
  });
  canvas.addEventListener("pointerleave", () => tip.hide());
  canvas.addEventListener("dblclick", (event) => view.zoom(0.4, timeAt(event)));

  const keys = {
    ArrowLeft: () => view.pan(-0.2),
    ArrowRight: () => view.pan(0.2),
    "+": () => view.zoom(0.6),
    "=": () => view.zoom(0.6),
    "-": () => view.zoom(1.7),
    "0": () => view.whole(),
    Home: () => view.show(0, view.until - view.from),
    End: () => view.show(data.end - (view.until - view.from), data.end),
    w: () => view.witness(),
    n: () => focus.step(1),
    p: () => focus.step(-1),
    Escape: () => focus.clear(),
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

// The operation that the keyboard stands on: outlined, noted, and spoken to screen readers.
function makeFocus(canvas, data, view, layout, tip, spoken, redraw) {
  const focus = { op: -1 };
  focus.set = (op) => {
    focus.op = op;
    const { from, until } = { from: data.ops.from[op], until: data.ops.until[op] };
    if (from < view.from || from > view.until) view.centre(from, until);
    redraw();
    const lane = layout.clients.find((one) => one.client.index === data.ops.client[op]);
    const scale = (canvas.clientWidth - GUTTER) / (view.until - view.from);
    const hit = { type: "op", op };
    tip.show(hit, GUTTER + Math.max(from - view.from, 0) * scale, lane.y + lane.height, lane.height + 8);
    spoken.textContent = tip.spoken(hit);
  };
  focus.step = (by) => {
    const { ops } = data;
    const inView = (op) => ops.from[op] >= view.from && ops.from[op] <= view.until;
    let op = focus.op >= 0 && inView(focus.op) ? focus.op + by : -1;
    if (op < 0 && by > 0) op = 0;
    if (op < 0 && by < 0) op = ops.count - 1;
    while (op >= 0 && op < ops.count && !inView(op)) op += by;
    if (op >= 0 && op < ops.count) focus.set(op);
  };
  focus.clear = () => {
    focus.op = -1;
    tip.hide();
    redraw();
  };
  return focus;
}
