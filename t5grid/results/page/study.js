// What stands before the tables: the summary, the grid of all scores, the findings.
const MARKS = { done: "✓", running: "▶", failed: "✗", blocked: "◼", undefined: "?", spoilt: "!", missing: "·" };
const GRID_IS = "Each line is a row of a table, each column a kind of task; ";
const HEAT_IS = "the number is the score, 0 to 100. The stronger the blue, the nearer to the best score of its column in the whole study. A cell opens what is behind it.";
const MARKS_ARE = "a mark says how far the cell is. A cell opens what is behind it.";
const FOREST_IS = "Each line compares two rows: the dot is the median effect over the columns, in standard deviations of the baseline's seeds, the bar what chance alone makes of one column, a speck each column. To the right the first row is better. A bar that does not reach 0 is more than chance. The axis is logarithmic beyond five.";

function summarySection() {
  const lists = study.groups.map((group) => {
    const details = folded(`${group.head} (${group.claims.length})`, make("ul", {}, ...group.claims.map((claim) => make("li", {}, claim))));
    details.className = "group";
    details.open = group.head !== "Not run";
    return details;
  });
  return make("section", { id: "summary", "aria-label": "Summary" }, ...study.summary.map((text) => make("p", {}, text)), make("div", { class: "groups" }, ...lists));
}

function gridCell(table, row, column) {
  const cell = row.cells[column.key];
  if (!cell) return make("td", {});
  const warm = cell.warmth !== null, score = warm ? number(cell.mean) : cell.hole || cell.state;
  const text = `${row.title}, ${column.title}: ${score}${cell.at_floor ? " (no better than a constant answer)" : ""}`;
  const shown = warm ? number(cell.mean, 1) : make("span", { class: `state ${cell.state}` }, MARKS[cell.state] ?? "·");
  return make("td", warm ? { class: cell.at_floor ? "heat low" : "heat", style: `--warmth: ${Math.round(60 * cell.warmth)}%` } : {},
    make("button", { "aria-label": text, title: text, onclick: () => open(table, row, column) }, shown));
}

function matrixSection() {
  const columns = [...new Map(study.tables.flatMap((t) => t.columns).map((c) => [c.key, c])).values()];
  const cells = study.tables.flatMap((t) => t.rows.flatMap((row) => Object.values(row.cells)));
  const body = study.tables.flatMap((table) => [
    make("tr", { class: "group" }, make("th", { scope: "rowgroup", colspan: columns.length + 1 }, make("a", { href: `#table-${table.name}` }, table.title))),
    ...table.rows.map((row) => make("tr", {}, make("th", { scope: "row" }, titleOf(row)), ...columns.map((column) => gridCell(table, row, column))))]);
  const head = make("tr", {}, make("th", { scope: "col" }, "Row"), ...columns.map((column) => make("th", { scope: "col" }, column.title)));
  const states = new Set(cells.filter((cell) => cell.warmth === null).map((cell) => cell.state)), warm = cells.some((cell) => cell.warmth !== null);
  const legend = Object.entries(MARKS).filter(([state]) => states.has(state)).map(([state, sign]) => make("span", {}, make("span", { class: `state ${state}` }, sign), ` ${state === "missing" ? "not run" : state}`));
  const scale = warm ? [make("span", {}, "constant answer ", make("span", { class: "scale", "aria-hidden": "true" }), " best of its column"), make("span", {}, make("span", { class: "heat low key" }, "1.0"), " no better than a constant answer")] : [];
  return make("section", { id: "grid" }, make("h2", {}, "The grid"), make("p", { class: "caption" }, GRID_IS + (warm ? HEAT_IS : MARKS_ARE)), make("div", { class: "bar dim" }, ...scale, ...legend),
    scrolling("The grid", "overview", make("table", { class: "matrix" }, make("thead", {}, head), make("tbody", {}, ...body))));
}

function findingsSection() {
  const rows = study.findings.map((each) => make("tr", {}, make("td", { class: "text" }, each.claim, " ", make("span", { class: "dim" }, `(${each.source})`)),
    make("td", { class: `text ${each.verdict.replaceAll(" ", "-")}` }, each.verdict, each.rests_on ? make("span", { class: "dim" }, ` (${each.rests_on})`) : null), make("td", { class: "text dim" }, each.numbers)));
  const head = make("tr", {}, ...["The paper's claim", "Our evidence", "Numbers"].map((title) => make("th", { class: "text", scope: "col" }, title)));
  return make("section", { id: "findings" }, make("h2", {}, "Findings"), scrolling("Findings", "", make("table", { class: "findings" }, make("thead", {}, head), make("tbody", {}, ...rows))),
    study.forest.length ? forestPart() : null);
}

// Deviations -> a share of the width: linear up to five, logarithmic beyond, 200 at the ends.
function along(size) {
  const part = (value) => (value <= 5 ? value / 5 : 1 + Math.log10(value / 5)) / (1 + Math.log10(40));
  return 0.5 + Math.sign(size) * Math.min(1, part(Math.abs(size))) / 2;
}

const median = (values) => {
  const ordered = [...values].sort((a, b) => a - b), half = ordered.length >> 1;
  return ordered.length % 2 ? ordered[half] : (ordered[half - 1] + ordered[half]) / 2;
};

function forestPart() {
  const claims = study.forest.map(({ claim, verdict, effects }) => make("div", { class: "claim" }, make("p", {}, make("span", { class: verdict.replaceAll(" ", "-") }, verdict), `: ${claim}`),
    ...Object.entries(effects).map(([title, [ours, paper]]) => make("div", { class: "effect" }, make("span", {}, title), effectStrip(title, ours, paper)))));
  const signs = make("ul", { class: "legend" }, make("li", {}, make("span", { class: "sign", style: "color: var(--c0)" }, "●"), " ours"), make("li", {}, make("span", { class: "sign", style: "color: var(--c1)" }, "■"), " the paper"));
  return make("div", { class: "forest" }, make("h3", {}, "The effects behind the claims"), make("p", { class: "caption" }, FOREST_IS), signs, ...claims);
}

function effectStrip(title, ours, paper) {
  const width = 420, x = (size) => 8 + along(size) * (width - 16), size = (effect) => signed(median(Object.values(effect.sizes)), 1);
  const svg = mark("svg", { viewBox: `0 0 ${width} 40`, class: "chart", role: "img", "aria-label": `${title}: ours ${size(ours)} standard deviations${paper ? `, the paper's ${size(paper)}` : ""}` });
  for (const tick of [-100, -20, -5, 0, 5, 20, 100]) svg.append(mark("line", { class: tick ? "grid" : "zero", x1: x(tick), x2: x(tick), y1: 1, y2: 27 }), mark("text", { x: x(tick), y: 38, "text-anchor": "middle" }, tick ? signed(tick, 0) : "0"));
  const placed = [];
  [[ours, 9, 0, "ours"], [paper, 20, 1, "the paper"]].forEach(([effect, y, index, whose]) => {
    if (!effect) return;
    const middle = median(Object.values(effect.sizes)), margin = median(Object.values(effect.margins)), style = `color: ${colour(index)}`;
    for (const [column, value] of Object.entries(effect.sizes)) {
      svg.append(mark("line", { class: "whisker", style, x1: x(value), x2: x(value), y1: y - 4, y2: y + 4 }));
      placed.push({ at: [x(value), y], text: `${whose}, ${column}: ${signed(value, 1)} sd` });
    }
    svg.append(mark("line", { class: "whisker", style, x1: x(middle - margin), x2: x(middle + margin), y1: y, y2: y }),
      index ? mark("rect", { class: "dot", style, x: x(middle) - 3.5, y: y - 3.5, width: 7, height: 7 }) : mark("circle", { class: "dot", style, cx: x(middle), cy: y, r: 4 }));
    placed.push({ at: [x(middle), y], text: `${whose}: median ${signed(middle, 1)} sd, chance up to ${number(margin, 1)} sd` });
  });
  hover(svg, placed);
  return svg;
}
