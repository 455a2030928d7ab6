"use strict";
const MARKS = { done: "✓", running: "▶", failed: "✗", blocked: "◼", undefined: "?", spoilt: "!", missing: "·" };
let study = JSON.parse(document.getElementById("data").textContent);
const view = {}; // experiment -> {show, sort, descending, figures}: kept when data are refreshed

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") element.className = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const number = (value, digits = 2) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : value.toFixed(digits));
const signed = (value) => (value === null ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(2));

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

const SIGNS = { same: "✓", opposite: "✗", noise: "≈" };

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
  const isBest = show === "ours" ? cell.bold : show === "paper" && row.paper && row.paper.bold.includes(column.mirrors);
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
  if (state.sort === null) return table.rows;
  const column = table.columns.find((each) => each.key === state.sort);
  const key = (row) => (column ? valueOf(row, column, state.show) : row.title);
  const compare = (a, b) => {
    const x = key(a), y = key(b);
    if (x === null || y === null) return (x === null) - (y === null);
    const order = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return state.descending ? -order : order;
  };
  return [...table.rows].sort(compare);
}

function header(table, state, key, title, redraw, measured = "") {
  const direction = state.sort === key ? (state.descending ? "descending" : "ascending") : "none";
  const click = () => {
    if (state.sort !== key) Object.assign(state, { sort: key, descending: key !== "" });
    else if (state.descending === (key !== "")) state.descending = !state.descending;
    else state.sort = null;
    redraw(key);
  };
  const button = make("button", { onclick: click, title: "Sort; a third click restores the order of the table" }, title);
  return make("th", { scope: "col", "aria-sort": direction, "data-key": key }, button, measured ? make("span", { class: "measured" }, measured) : null);
}

function tableSection(table) {
  const state = (view[table.name] ??= { show: "ours", sort: null, descending: false, figures: true });
  const holder = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.title });
  const redraw = (focus) => {
    const columns = table.columns.map((column) =>
      header(table, state, column.key, state.show === "ours" || !column.mirrors ? column.title : `${column.title} (${column.mirrors})`, redraw, column.measured));
    const head = make("thead", {}, make("tr", {}, header(table, state, "", table.first_column, redraw),
      ...table.shown.map((title) => make("th", { scope: "col" }, title)), ...columns));
    const rows = sorted(table, state).map((row) => make("tr", { class: row.starred ? "starred" : "" },
      make("th", { scope: "row", title: row.note }, (row.starred ? "★ " : "") + row.title),
      ...table.shown.map((title, k) => make("td", {}, (state.show === "paper" ? row.paper?.facts[title] : row.shown[k]) ?? "")),
      ...table.columns.map((column) => scoreCell(table, row, column, state.show))));
    const spread = state.show === "paper" ? (c) => table.paper_deviations[c.mirrors] : (c) => table.deviations[c.key];
    const last = make("tr", {}, make("th", { scope: "row" }, "Baseline standard deviation"), ...table.shown.map(() => make("td", {})),
      ...table.columns.map((column) => make("td", {}, ["difference", "gain"].includes(state.show) ? "" : `± ${number(spread(column) ?? null, 3)}`)));
    const bounds = state.show === "ours" ? table.bounds : [];
    const lines = bounds.map(([title, ...cells]) => make("tr", {}, make("th", { scope: "row" }, title), ...cells.map((cell) => make("td", {}, cell))));
    holder.replaceChildren(make("table", {}, head, make("tbody", {}, ...rows), make("tfoot", {}, ...lines, last)));
    if (focus !== undefined) holder.querySelector(`th[data-key="${focus}"] button`)?.focus();
  };
  redraw();
  const LABELS = { ours: "ours", paper: "paper", gain: "gains, ours / paper", difference: "difference" };
  const offered = { gain: table.rows.some((row) => Object.keys(row.gains).length), difference: table.columns.some((column) => column.own) };
  const choices = ["ours", "paper", "gain", "difference"].filter((show) => offered[show] ?? true).map((show) => {
    const radio = make("input", { type: "radio", name: `show-${table.name}`, value: show, onchange: () => { state.show = show; redraw(); } });
    radio.checked = state.show === show;
    return make("label", {}, radio, ` ${LABELS[show]}`);
  });
  const figures = Object.entries(table.figures).map(([kind, source]) =>
    make("figure", {}, make("a", { href: source, download: `${table.stem}-${kind}.svg` },
      make("img", { src: source, loading: "lazy", alt: `${table.title}: ${kind}` }))));
  return make("section", { id: `table-${table.name}` }, make("h2", {}, table.title),
    make("p", { class: "caption" }, table.caption.join(" ")), make("p", { class: "dim" }, "Command: ", make("code", {}, table.command)),
    make("div", { class: "bar" }, make("fieldset", {}, make("legend", {}, "Numbers"), ...choices)),
    table.rows.some((row) => row.paper) ? make("p", { class: "dim" }, `The paper: ${table.paper_source}`) : null, holder, ...table.rows.filter((row) => row.note).map((row) => make("p", { class: "dim" }, `${row.title}: ${row.note}.`)),
    figures.length ? make("details", { open: state.figures ? "" : null, ontoggle: (event) => { state.figures = event.target.open; } }, make("summary", {}, "Figures"), make("div", { class: "figures" }, ...figures)) : null);
}

function matrixSection() {
  const columns = [...new Map(study.tables.flatMap((t) => t.columns).map((c) => [c.key, c])).values()];
  const body = study.tables.map((table) => [
    make("tr", { class: "group" }, make("th", { scope: "rowgroup", colspan: columns.length + 1 }, make("a", { href: `#table-${table.name}` }, table.title))),
    ...table.rows.map((row) => make("tr", {}, make("th", { scope: "row" }, (row.starred ? "★ " : "") + row.title),
      ...columns.map((column) => {
        const cell = row.cells[column.key];
        if (!cell) return make("td", {});
        const warm = cell.warmth !== null, score = warm ? number(cell.mean) : cell.hole || cell.state;
        const text = `${row.title}, ${column.title}: ${score}${cell.at_floor ? " (no better than a constant answer)" : ""}`;
        const shown = warm ? number(cell.mean, 1) : make("span", { class: `state ${cell.state}` }, MARKS[cell.state] ?? "·");
        return make("td", warm ? { class: cell.at_floor ? "heat low" : "heat", style: `--warmth: ${Math.round(60 * cell.warmth)}%` } : {},
          make("button", { "aria-label": text, title: text, onclick: () => open(table, row, column) }, shown));
      })))]).flat();
  const head = make("tr", {}, make("th", { scope: "col" }, "Row"), ...columns.map((column) => make("th", { scope: "col" }, column.title)));
  const states = new Set(study.tables.flatMap((t) => t.rows.flatMap((row) => Object.values(row.cells).filter((cell) => cell.warmth === null).map((cell) => cell.state))));
  const legend = Object.entries(MARKS).filter(([state]) => states.has(state))
    .map(([state, mark]) => make("span", {}, make("span", { class: `state ${state}` }, mark), ` ${state === "missing" ? "not run" : state}`));
  const warm = study.tables.some((t) => t.rows.some((row) => Object.values(row.cells).some((cell) => cell.warmth !== null)));
  const scale = warm ? [make("span", {}, "constant answer ", make("span", { class: "scale", "aria-hidden": "true" }), " best of its column"), make("span", {}, make("span", { class: "heat low key" }, "1.0"), " no better than a constant answer")] : [];
  return make("section", { id: "grid" }, make("h2", {}, "The grid"),
    make("p", { class: "caption" }, "Each line is a row of a table, each column a kind of task; the number is the score, 0 to 100. The stronger the blue, the nearer to the best score of its column in the whole study; a cell opens what is behind it."),
    make("div", { class: "bar dim" }, ...scale, ...legend),
    make("div", { class: "scroll overview", tabindex: "0", role: "region", "aria-label": "The grid" },
      make("table", { class: "matrix" }, make("thead", {}, head), make("tbody", {}, ...body))));
}

function summarySection() {
  const lists = study.groups.map((group) => make("details", { class: "group", open: group.head === "Not run" ? null : "" },
    make("summary", {}, `${group.head} (${group.claims.length})`), make("ul", {}, ...group.claims.map((claim) => make("li", {}, claim)))));
  return make("section", { id: "summary", "aria-label": "Summary" }, ...study.summary.map((text) => make("p", {}, text)), make("div", { class: "groups" }, ...lists));
}

function findingsSection() {
  const rows = study.findings.map((each) => make("tr", {}, make("td", { class: "text" }, each.claim, " ", make("span", { class: "dim" }, `(${each.source})`)),
    make("td", { class: `text ${each.verdict.replaceAll(" ", "-")}` }, each.verdict, each.rests_on ? make("span", { class: "dim" }, ` (${each.rests_on})`) : null), make("td", { class: "text dim" }, each.numbers)));
  const head = make("tr", {}, make("th", { class: "text", scope: "col" }, "The paper's claim"), make("th", { class: "text", scope: "col" }, "Our evidence"), make("th", { class: "text", scope: "col" }, "Numbers"));
  return make("section", { id: "findings" }, make("h2", {}, "Findings"), make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Findings" },
    make("table", { class: "findings" }, make("thead", {}, head), make("tbody", {}, ...rows))),
    study.forest ? make("figure", { class: "forest" }, make("img", { src: study.forest, loading: "lazy", alt: "Forest plot of the effects behind the claims; their numbers are in the table above" }),
      make("figcaption", {}, "Each line compares two rows: the dot is the median effect over the columns, in standard deviations of the baseline's seeds, the bar what chance alone makes of one column, a speck each column. A bar that does not reach 0 is more than chance. The axis is logarithmic beyond five.")) : null);
}

function curve(points) {
  const box = { width: 640, height: 170, left: 44, bottom: 24, top: 8, right: 8 };
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const x = (v) => box.left + ((v - x0) / (x1 - x0 || 1)) * (box.width - box.left - box.right);
  const y = (v) => box.height - box.bottom - ((v - y0) / (y1 - y0 || 1)) * (box.height - box.bottom - box.top);
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const add = (tag, attributes, text) => {
    const element = document.createElementNS(space, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text !== undefined) element.textContent = text;
    svg.append(element);
  };
  svg.setAttribute("viewBox", `0 0 ${box.width} ${box.height}`);
  svg.setAttribute("class", "curve");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `training loss from ${y1.toFixed(2)} to ${ys[ys.length - 1].toFixed(2)}`);
  for (const value of [y0, y1]) {
    add("line", { x1: box.left, x2: box.width - box.right, y1: y(value), y2: y(value) });
    add("text", { x: 2, y: y(value) + 4 }, value.toFixed(2));
  }
  add("text", { x: box.left, y: box.height - 6 }, `step ${x0}`);
  add("text", { x: box.width - box.right, y: box.height - 6, "text-anchor": "end" }, `step ${x1}`);
  add("path", { d: points.map((p, k) => `${k ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("") });
  return svg;
}

function runPart(run) {
  const parts = [make("h3", {}, `Seed ${run.seed}: ${run.score === null ? run.state : number(run.score)}`)];
  if (run.detail) parts.push(make("p", { class: "dim" }, run.detail));
  if (run.tasks) {
    const rows = Object.entries(run.tasks).map(([task, scores]) => make("tr", {}, make("td", {}, task),
      make("td", { class: "text" }, Object.entries(scores).map(([name, value]) => `${name} ${name === "step" ? value : number(value)}`).join(", "))));
    parts.push(make("div", { class: "scroll" }, make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Task"), make("th", { class: "text", scope: "col" }, "Scores at its chosen step"))), make("tbody", {}, ...rows))));
  }
  for (const [stage, points] of Object.entries(run.curves)) {
    if (points.length > 1) parts.push(make("h3", {}, `Training loss: ${stage}`), curve(points));
  }
  if (run.samples) {
    parts.push(make("h3", {}, "Decoded examples"));
    for (const [task, samples] of Object.entries(run.samples)) {
      for (const sample of samples) {
        parts.push(make("dl", { class: "example" }, make("dt", {}, "task"), make("dd", {}, task), make("dt", {}, "input"), make("dd", {}, sample.input),
          make("dt", {}, "target"), make("dd", {}, sample.target), make("dt", {}, "prediction"), make("dd", {}, sample.prediction)));
      }
    }
  }
  if (run.identity) parts.push(make("p", { class: "dim" }, make("code", {}, run.identity)));
  return make("section", {}, ...parts);
}

function open(table, row, column) {
  const dialog = document.getElementById("cell"), cell = row.cells[column.key];
  const paper = paperScore(row, column);
  dialog.replaceChildren(make("button", { class: "plain close", onclick: () => dialog.close() }, "Close"),
    make("h2", { id: "cell-title", style: "border: 0; margin-top: 0" }, `${row.title}: ${column.title}`),
    make("p", {}, cell.mean === null ? cell.hole : `Score ${number(cell.mean)}${cell.deviation === null ? "" : ` ± ${number(cell.deviation)}`}`,
      paper === null ? "" : `; the paper's ${column.mirrors}: ${number(paper)}`),
    ...cell.runs.map((identity) => runPart(study.runs[identity])),
    make("h3", {}, "Config"), make("p", { class: "dim" }, "Overrides: ", make("code", {}, row.overrides.join(" ") || "none: the baseline")), make("pre", { tabindex: "0" }, row.config));
  dialog.showModal();
}

function tell(text) {
  const status = document.getElementById("counts");
  if (status.textContent !== text) status.textContent = text;
}

function tellCounts() {
  const counts = {};
  for (const table of study.tables) for (const row of table.rows) for (const cell of Object.values(row.cells)) counts[cell.state] = (counts[cell.state] || 0) + 1;
  tell("Cells: " + (Object.entries(counts).map(([state, count]) => `${count} ${state}`).join(", ") || "none"));
}

// What a reader has done to the page that is about to be drawn again: call the result to do it to the new one.
function keepPlace() {
  const top = window.scrollY, focusable = "a, button, input, summary, [tabindex]";
  const scrolled = [...document.querySelectorAll("main .scroll")].map((each) => [each.getAttribute("aria-label"), each.scrollLeft, each.scrollTop]);
  const section = document.activeElement.closest("main section");
  const index = section ? [...section.querySelectorAll(focusable)].indexOf(document.activeElement) : -1;
  return () => {
    for (const [label, left, down] of scrolled) document.querySelector(`main .scroll[aria-label="${CSS.escape(label)}"]`)?.scrollTo(left, down);
    if (index >= 0) document.getElementById(section.id)?.querySelectorAll(focusable)[index]?.focus({ preventScroll: true });
    window.scrollTo(0, top);
  };
}

function draw() {
  document.getElementById("scale").textContent = study.scale;
  tellCounts();
  const links = [["grid", "The grid"], ["findings", "Findings"], ...study.tables.map((table) => [`table-${table.name}`, table.title])];
  const nav = document.getElementById("nav"), restore = keepPlace();
  if (!nav.children.length) nav.replaceChildren(...links.map(([id, title]) => make("li", {}, make("a", { href: `#${id}` }, title))));
  document.getElementById("main").replaceChildren(summarySection(), matrixSection(), findingsSection(), ...study.tables.map(tableSection));
  restore();
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
draw();

let tag = null, waiting = false;

async function refresh() {
  if (waiting || document.getElementById("cell").open) return;
  waiting = true;
  try {
    const reply = await fetch("data.json", tag ? { headers: { "If-None-Match": tag } } : {});
    if (reply.status !== 200) { tellCounts(); return; }
    const sent = await reply.json();
    if (document.getElementById("cell").open) return; // asked for again when the reader has closed it
    study = sent;
    tag = reply.headers.get("ETag");
    draw();
  } catch {
    tell("The server has stopped; this is the last state it sent.");
  } finally {
    waiting = false;
  }
}

if (study.live) setInterval(refresh, 3000);
