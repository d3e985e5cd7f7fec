// Reading the island: columns become typed arrays, and each lane knows its operations in order.

function readIsland() {
  const raw = JSON.parse(document.getElementById("run-data").textContent);
  const count = raw.ops.id.length;
  const ops = {
    count,
    id: new Float64Array(count),
    from: new Float64Array(count),
    until: new Float64Array(count),
    open: new Uint8Array(count),
    ...raw.ops,
  };
  let id = 0;
  let at = 0;
  for (let i = 0; i < count; i++) {
    ops.id[i] = id += raw.ops.id[i];
    ops.from[i] = at += raw.ops.at[i];
    ops.open[i] = raw.ops.took[i] < 0 ? 1 : 0;
    ops.until[i] = ops.open[i] ? raw.end : at + raw.ops.took[i];
  }
  const watch = raw.kinds.indexOf("watch");
  const clients = raw.clients.map((client, index) => ({ ...client, index, ops: [], watches: [] }));
  for (let i = 0; i < count; i++) {
    const client = clients[ops.client[i]];
    (ops.kind[i] === watch ? client.watches : client.ops).push(i);
  }
  const labels = new Map(raw.witness.map((one) => [one.op, one.label]));
  return { ...raw, ops, clients, labels, messages: readMessages(raw.messages) };
}

// By operation: the times of its messages.
function readMessages(columns) {
  const byOp = new Map();
  columns.op.forEach((op, i) => {
    if (!byOp.has(op)) byOp.set(op, []);
    byOp.get(op).push({ at: columns.at[i], events: columns.events[i] });
  });
  return byOp;
}

// The first index in `list` (operations ordered by start) whose operation starts after `time`.
function firstAfter(ops, list, time) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ops.from[list[middle]] > time) high = middle;
    else low = middle + 1;
  }
  return low;
}

function milliseconds(us) {
  const [whole, part] = (us / 1000).toFixed(3).split(".");
  return `${whole.replace(/\B(?=(\d{3})+$)/g, "\u202f")}.${part}`;
}

function span(us) {
  if (us < 1000) return `${Math.round(us)} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 2 : 1)} ms`;
  return `${(us / 1e6).toFixed(2)} s`;
}
