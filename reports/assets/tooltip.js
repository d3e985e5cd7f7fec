// The note at the pointer. Text only: nothing from the run is ever read as markup.

function makeTooltip(stage, element, data) {
  function line(name, value) {
    const row = document.createElement("div");
    row.className = "tip-line";
    for (const text of [name, value]) {
      const cell = document.createElement("span");
      cell.textContent = text;
      row.append(cell);
    }
    return row;
  }

  function fill(head, lines) {
    const title = document.createElement("div");
    title.className = "tip-head";
    title.textContent = head;
    element.replaceChildren(title, ...lines.filter(([, value]) => value !== "").map(([name, value]) => line(name, value)));
  }

  // `clear`: how far above the point the note must stay when there is no room below.
  function place(x, y, clear) {
    element.hidden = false;
    const right = x + 18 + element.offsetWidth > stage.clientWidth;
    const low = y + 18 + element.offsetHeight > stage.clientHeight;
    element.style.left = `${Math.max(right ? x - element.offsetWidth - 12 : x + 14, 4)}px`;
    element.style.top = `${Math.max(low ? y - element.offsetHeight - clear : y + 16, 4)}px`;
  }

  return {
    show(hit, x, y, clear = 10) {
      fill(...describe(data, hit));
      place(x, y, clear);
    },
    hide() {
      element.hidden = true;
    },
    spoken: (hit) => {
      const [head, lines] = describe(data, hit);
      return [head, ...lines.filter(([, value]) => value !== "").map(([name, value]) => `${name} ${value}`)].join(", ");
    },
  };
}

function describe(data, hit) {
  const stretch = (one) => [
    ["from", `${milliseconds(one.from)} ms`],
    ["until", `${milliseconds(one.until)} ms (${span(one.until - one.from)})`],
  ];
  switch (hit.type) {
    case "phase":
      return [`Phase: ${hit.of.name}`, stretch(hit.of)];
    case "fault":
      return [`Fault: ${hit.of.label}`, [["state", hit.of.state], ["detail", hit.of.detail], ...stretch(hit.of)]];
    case "member":
      return [hit.name, hit.of.flatMap((one) => [[one.state, one.detail], ...stretch(one)])];
    default:
      return describeOp(data, hit.op);
  }
}

function describeOp(data, op) {
  const { ops } = data;
  const client = data.clients[ops.client[op]];
  const label = data.labels.get(op);
  const head = `${label ? `${label}: ` : ""}c${client.id} on ${data.members[client.member]}`;
  const messages = data.messages.get(op);
  const until = ops.open[op] ? "no return in the file" : `${milliseconds(ops.until[op])} ms`;
  return [
    `${head}, operation ${ops.id[op]}`,
    [
      ["request", data.texts[ops.asked[op]]],
      ["answer", data.texts[ops.answer[op]]],
      ["result", data.results[ops.result[op]]],
      ["revision", ops.revision[op] > 0 ? String(ops.revision[op]) : ""],
      ["messages", messages ? String(messages.length) : ""],
      ["start", `${milliseconds(ops.from[op])} ms`],
      ["end", ops.open[op] ? until : `${until} (${span(ops.until[op] - ops.from[op])})`],
    ],
  ];
}
