// Where things stand from top to bottom: axis, phases, faults, then each member with its clients.

const GUTTER = 92;
const AXIS = 22;
const ROW = 17;
const FAULT_ROWS = 4;

function makeLanes(data) {
  const faults = stackFaults(data.faults);
  const laneHeight = data.clients.length > 30 ? 12 : data.clients.length > 16 ? 15 : 19;
  let y = AXIS;
  const layout = { phases: y, faults: 0, faultRows: faults, members: [], clients: [], height: 0, laneHeight };
  y += ROW + 2;
  layout.faults = y;
  y += Math.max(faults.rows, data.faults.length ? 1 : 0) * ROW + 6;
  layout.body = y;
  data.members.forEach((name, index) => {
    layout.members.push({ index, name, y, height: ROW });
    y += ROW + 3;
    const own = data.clients.filter((client) => client.member === index);
    own.sort((a, b) => a.id - b.id);
    for (const client of own) {
      layout.clients.push({ client, name: `c${client.id}`, y, height: laneHeight });
      y += laneHeight;
    }
    y += 8;
  });
  layout.height = y;
  return layout;
}

// Overlapping faults get rows of their own, as far as there are rows.
function stackFaults(faults) {
  const ends = [];
  const rows = faults.map((fault) => {
    let row = ends.findIndex((end) => end < fault.from);
    if (row < 0) row = Math.min(ends.length, FAULT_ROWS - 1);
    ends[row] = Math.max(ends[row] ?? 0, fault.until);
    return row;
  });
  return { of: rows, rows: ends.length };
}

// What lies under a point: an operation, a fault, a phase or a stretch of a member's life.
function under(data, view, layout, width, x, y) {
  if (x < GUTTER) return null;
  const scale = (view.until - view.from) / (width - GUTTER);
  const time = view.from + (x - GUTTER) * scale;
  const slack = 3 * scale;
  if (y >= layout.phases && y < layout.phases + ROW) {
    const phase = data.phases.find((one) => time >= one.from && time < one.until);
    return phase ? { type: "phase", of: phase } : null;
  }
  if (y >= layout.faults && y < layout.body) {
    const row = Math.floor((y - layout.faults) / ROW);
    const found = data.faults.findIndex(
      (one, i) => layout.faultRows.of[i] === row && time >= one.from - slack && time <= one.until + slack,
    );
    return found < 0 ? null : { type: "fault", of: data.faults[found] };
  }
  const member = layout.members.find((one) => y >= one.y && y < one.y + one.height);
  if (member) {
    const held = data.spans.filter((one) => one.member === member.index && time >= one.from && time < one.until);
    return held.length ? { type: "member", of: held, name: member.name } : null;
  }
  const lane = layout.clients.find((one) => y >= one.y && y < one.y + one.height);
  if (!lane) return null;
  const low = y > lane.y + lane.height * 0.72;
  const lists = low ? [lane.client.watches, lane.client.ops] : [lane.client.ops, lane.client.watches];
  for (const list of lists) {
    const op = nearest(data.ops, list, time, slack);
    if (op >= 0) return { type: "op", op };
  }
  return null;
}

function nearest(ops, list, time, slack) {
  let best = -1;
  let distance = slack;
  for (let i = firstAfter(ops, list, time + slack) - 1, looked = 0; i >= 0 && looked < 8; i--, looked++) {
    const op = list[i];
    const away = time < ops.from[op] ? ops.from[op] - time : Math.max(time - ops.until[op], 0);
    if (away < distance || (best < 0 && away <= distance)) {
      best = op;
      distance = away;
    }
  }
  return best;
}
