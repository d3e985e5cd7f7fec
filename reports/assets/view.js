// The stretch of time in view. Everything that moves it goes through here.

const NARROWEST = 200; // microseconds

function makeView(data, changed) {
  const whole = [0, Math.max(data.end, 1)];
  const view = { from: data.focus[0], until: Math.max(data.focus[1], data.focus[0] + 1) };

  function show(from, until) {
    const width = Math.min(Math.max(until - from, NARROWEST), whole[1]);
    const start = Math.min(Math.max(from, 0), whole[1] - width);
    view.from = start;
    view.until = start + width;
    changed();
  }

  view.show = show;
  view.whole = () => show(whole[0], whole[1]);
  view.witness = () => show(data.focus[0], data.focus[1]);
  view.pan = (part) => {
    const by = (view.until - view.from) * part;
    show(view.from + by, view.until + by);
  };
  // Keeps the moment `at` where it is on the screen.
  view.zoom = (factor, at = (view.from + view.until) / 2) => {
    const width = Math.min(Math.max((view.until - view.from) * factor, NARROWEST), whole[1]);
    const part = (at - view.from) / (view.until - view.from);
    show(at - width * part, at - width * part + width);
  };
  view.centre = (from, until) => {
    const width = Math.max(view.until - view.from, (until - from) * 1.5);
    const middle = (from + until) / 2;
    show(middle - width / 2, middle + width / 2);
  };
  return view;
}
