// One experiment: its numbers, figures and decoded examples.
const SIGNS = { same: "✓", opposite: "✗", noise: "≈" };
const SHOWN = { ours: "ours", paper: "paper", gain: "gains, ours / paper", difference: "difference" };

function paperScore(row, column) {
  return row.paper && column.mirrors ? row.paper.points[column.mirrors] ?? null : null;
}

function valueOf(row, column, show) {
  const ours = row.cells[column.key].mean, paper = paperScore(row, column);
  if (show === "ours") return ours;
  if (show === "paper") return paper;
  if (show === "gain") return row.gains[column.key]?.ours ?? null;
  return ours === null || paper === null || !column.own ? null : ours - paper;
}

function gainCell(table, row, column) {
  const gain = row.gains[column.key];
  const size = (value, digits) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(digits);
  const label = gain ? `${size(gain.ours, 1)} / ${size(gain.paper, gain.in_points ? 2 : 1)} ${SIGNS[gain.agreement]}` : "–";
  const name = `${row.title}, ${column.title}: ${label}${gain ? ` (${gain.agreement === "noise" ? "within noise" : `${gain.agreement} sign`})` : ""}`;
  return make("td", { class: gain?.agreement ?? "" }, make("button", { "aria-label": name, title: name, onclick: () => open(table, row, column) }, label));
}

function scoreCell(table, row, column, show) {
  if (show === "gain") return gainCell(table, row, column);
  const cell = row.cells[column.key], value = valueOf(row, column, show);
  const isBest = show === "ours" ? cell.bold : show === "paper" && row.paper && row.paper.bold.includes(column.mirrors) && !table.meaningless;
  let label = show === "difference" ? signed(value) : number(value);
  if (show === "ours" && value !== null && cell.deviation !== null) label += ` ± ${number(cell.deviation)}`;
  else if (show === "ours" && value !== null && cell.error !== null && !table.meaningless) label += ` (${number(cell.error, 1)})`;
  if (show === "ours" && value === null) label = `– ${cell.state}`;
  const low = show === "ours" && cell.at_floor;
  const name = `${row.title}, ${column.title}: ${label}${low ? " (no better than a constant answer)" : ""}`;
  const button = make("button", { "aria-label": name, title: cell.hole || name, onclick: () => open(table, row, column) }, label);
  return make("td", { class: isBest ? "best" : low ? "floor" : "" }, button);
}

function sorted(table, state) {
  const rows = table.rows.filter((row) => !state.hidden.has(row.key));
  if (state.sort === null) return rows;
  const column = table.columns.find((each) => each.key === state.sort);
  const key = (row) => (column ? valueOf(row, column, state.show) : row.title);
  const compare = (a, b) => {
    const x = key(a), y = key(b);
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return state.descending ? -order : order;
  };
  return rows.sort(compare);
}

function header(state, key, title, redraw, measured = "") {
  const direction = state.sort === key ? (state.descending ? "descending" : "ascending") : "none";
  const click = () => {
    if (state.sort !== key) Object.assign(state, { sort: key, descending: key !== "" });
    else if (state.descending === (key !== "")) state.descending = !state.descending;
    else state.sort = null;
    redraw();
  };
  const button = make("button", { onclick: click, title: "Sort; a third click restores the order of the table" }, title);
  return make("th", { scope: "col", "aria-sort": direction, "data-key": key }, button, measured ? make("span", { class: "measured" }, measured) : null);
}

const headOf = (column, state) => (state.show === "ours" || !column.mirrors ? column.title : `${column.title} (${column.mirrors})`);
const factsOf = (table, row, state) => table.shown.map((title, k) => (state.show === "paper" ? row.paper?.facts[title] : row.shown[k]) ?? "");
const boundsOf = (table, state) => (state.show === "ours" ? table.bounds : []);

function deviationsOf(table, state) {
  if (["difference", "gain"].includes(state.show)) return null;
  return table.columns.map((column) => (state.show === "paper" ? table.paper_deviations[column.mirrors] : table.deviations[column.key]) ?? null);
}

function numbersPart(table, state, redraw) {
  const columns = table.columns.map((column) => header(state, column.key, headOf(column, state), redraw, column.measured));
  const head = make("thead", {}, make("tr", {}, header(state, "", table.first_column, redraw), ...table.shown.map((title) => make("th", { scope: "col" }, title)), ...columns));
  const rows = sorted(table, state).map((row) => make("tr", { class: row.starred ? "starred" : "" },
    make("th", { scope: "row", title: row.note }, titleOf(row)), ...factsOf(table, row, state).map((fact) => make("td", {}, fact)),
    ...table.columns.map((column) => scoreCell(table, row, column, state.show))));
  const lines = boundsOf(table, state).map(([title, ...cells]) => make("tr", {}, make("th", { scope: "row" }, title), ...cells.map((cell) => make("td", {}, cell))));
  const spread = deviationsOf(table, state);
  if (spread) lines.push(make("tr", {}, make("th", { scope: "row" }, "Baseline standard deviation"), ...table.shown.map(() => make("td", {})), ...spread.map((value) => make("td", {}, `± ${number(value, 3)}`))));
  return scrolling(table.title, "numbers", make("table", {}, head, make("tbody", {}, ...rows), make("tfoot", {}, ...lines)));
}

// What is seen, as text: the rows and the order of now, every digit of the numbers.
function csvOf(table, state) {
  const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
  const line = (cells) => cells.map((cell) => quoted(String(cell ?? ""))).join(",");
  const rows = sorted(table, state).map((row) => line([titleOf(row), ...factsOf(table, row, state), ...table.columns.map((column) => valueOf(row, column, state.show))]));
  const spread = deviationsOf(table, state), blank = table.shown.map(() => "");
  const foot = [...boundsOf(table, state), ...(spread ? [["Baseline standard deviation", ...blank, ...spread]] : [])].map(line);
  return [line([table.first_column, ...table.shown, ...table.columns.map((column) => headOf(column, state))]), ...rows, ...foot].join("\n") + "\n";
}

function rowsPart(table, state, redraw) {
  const boxes = table.rows.map((row) => {
    const box = make("input", { type: "checkbox", onchange: () => { toggled(state.hidden, row.key); redraw(); } });
    box.checked = !state.hidden.has(row.key);
    return make("label", {}, box, ` ${titleOf(row)}`);
  });
  const all = (keys) => () => { state.hidden = new Set(keys); redraw(); };
  const details = folded(`Rows (${table.rows.length - state.hidden.size} of ${table.rows.length})`, make("div", { class: "rows" }, ...boxes),
    make("button", { class: "plain", onclick: all([]) }, "All"), " ", make("button", { class: "plain", onclick: all(table.rows.filter((row) => !row.starred).map((row) => row.key)) }, "The starred row only"));
  return kept(details, state, "rows");
}

// A folded part stays as the reader has left it.
function kept(details, state, name, start = false) {
  details.open = state.open[name] ?? start;
  details.addEventListener("toggle", () => { state.open[name] = details.open; });
  return details;
}

function copyButton(table, state) {
  const button = make("button", { class: "plain", onclick: async () => {
    await copy(csvOf(table, state));
    button.textContent = "Copied";
    tell(`Copied ${sorted(table, state).length} rows of ${table.title} as CSV.`);
  } }, "Copy as CSV");
  return button;
}

// What each row's model answers to the same inputs, for a column; first seeds.
function examplesPart(table, state, redraw) {
  const columns = table.columns.filter((column) => table.rows.some((row) => firstRun(row, column)?.samples));
  if (!columns.length) return null;
  const column = columns.find((each) => each.key === state.column) ?? columns[0];
  const pick = make("select", { onchange: (event) => { state.column = event.target.value; redraw(); } }, ...columns.map((each) => make("option", { value: each.key, selected: each === column ? "" : null }, each.title)));
  const rows = sorted(table, state), inputs = {};
  for (const row of rows) {
    for (const [task, samples] of Object.entries(firstRun(row, column)?.samples ?? {})) {
      for (const sample of samples) ((inputs[JSON.stringify([task, sample.input, sample.target])] ??= { task, ...sample, answers: [] }).answers).push([row, sample.prediction]);
    }
  }
  const body = () => Object.values(inputs).map(({ task, input, target, answers }) => make("article", { class: "example" },
    make("p", {}, make("span", { class: "dim" }, `${task}: `), input), make("p", {}, make("span", { class: "dim" }, "target: "), target),
    make("table", {}, make("tbody", {}, ...answers.map(([row, answer]) => make("tr", {}, make("th", { scope: "row" }, titleOf(row)),
      make("td", { class: "text" }, make("span", { class: answer === target ? "done" : "dim" }, answer === target ? "✓ " : "– "), answer)))))));
  const place = make("div", { class: "examples" });
  const fillIn = () => { if (details.open && !place.children.length) place.append(...body()); };
  const details = folded("Decoded examples, row beside row", make("p", { class: "caption" }, "What the model of each row (its first seed) writes for the same validation rows; ✓ is the target word for word."), make("label", {}, "Column ", pick), place);
  kept(details, state, "examples").addEventListener("toggle", fillIn);
  fillIn();
  return details;
}

function tableSection(table) {
  const state = viewOf(table), section = make("section", { id: `table-${table.name}` });
  const redraw = () => {
    const restore = keepPlace();
    section.replaceChildren(...tableParts(table, state, redraw).filter(Boolean));
    restore();
  };
  section.append(...tableParts(table, state, redraw).filter(Boolean));
  return section;
}

function tableParts(table, state, redraw) {
  const offered = { gain: table.rows.some((row) => Object.keys(row.gains).length), difference: table.columns.some((column) => column.own), paper: table.rows.some((row) => row.paper) };
  const choices = Object.entries(SHOWN).filter(([show]) => offered[show] ?? true);
  return [make("h2", {}, table.title),
    make("p", { class: "caption" }, `${table.reading[0]} ${table.meaningless ? "" : "Each line is a model that differs from the starred one in what its name says; each number is its score in a kind of task, 0 to 100, the higher the better."}`),
    kept(folded("How to read it", ...table.reading.slice(1).map((line) => make("p", { class: "caption" }, line)), ...table.rows.filter((row) => row.note).map((row) => make("p", { class: "caption" }, `${row.title}: ${row.note}.`))), state, "reading"),
    kept(folded("Where it is from", ...table.provenance.map((line) => make("p", { class: "caption" }, line)), table.rows.some((row) => row.paper) ? make("p", { class: "caption" }, `The paper: ${table.paper_source}`) : null, make("p", { class: "caption" }, "Command: ", make("code", {}, table.command))), state, "provenance"),
    make("div", { class: "bar" }, choice("Numbers", `show-${table.name}`, choices, state.show, (show) => { state.show = show; redraw(); }), copyButton(table, state)),
    rowsPart(table, state, redraw), numbersPart(table, state, redraw), figuresPart(table, state, redraw), examplesPart(table, state, redraw)];
}
