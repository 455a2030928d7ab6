// The figures of one table, over its rows that are shown.
const KINDS = {
  scores: ["scores", (table) => `Each dot is a row's score, its bar one standard deviation of the row's seeds either way, or for a single seed its standard error over the validation rows. ${table.meaningless ? "" : "The band reaches two standard deviations of the baseline below the best. "}Dashed: the starred row; dotted: a constant answer.`],
  ranks: ["ranks beside the paper", () => "Our score over the row's rank in the paper (1 is its best); were the order the same, the dots would fall from left to right. ρ is Spearman's rank correlation. Dotted: a constant answer."],
  axis: ["along the axis", (table) => `Scores over the number that the rows vary (${table.charts.axis.title}), with one standard deviation of their seeds. Dashed: the starred row; dotted: a constant answer.`],
  loss: ["training loss", () => "Nats a target token; a point is the mean over the steps since the one before (trainings of older versions wrote the loss of one batch there). Losses of different objectives cannot be compared, so each has a panel of its own. Smoothing draws a moving mean over the faint curve."],
  places: ["bits by place in the segment", () => "Bits an id of held-out text over its place in the segment, the mean over the segments after a text's first, for a row's first seed. Dashed: the same model with every segment by itself, nothing carried to it. A row that reads texts whole is shown at the same places; where no row has segments, places are those in the text."],
  steps: ["validation score by step", () => "The score of every checkpoint of the fine-tuning on the validation rows, for a row's first seed; the best of them is the one in the table. Dotted: a constant answer."],
  tuning: ["fine-tuning loss", () => "The loss of the fine-tuning behind every score, for a row's first seed."],
  cost: ["cost", () => "The mean over the columns against what the row's training cost, for rows that are whole: seconds on the machine that ran it, and FLOPs."],
};

const firstRun = (row, column) => study.runs[row.cells[column.key]?.runs[0]];
const tuningOf = (run) => Object.entries(run?.curves ?? {}).find(([identity]) => identity.startsWith("finetune/"))?.[1] ?? [];

function kindsOf(table) {
  const runs = table.rows.flatMap((row) => table.columns.map((column) => firstRun(row, column)));
  const known = {
    scores: table.rows.some((row) => table.columns.some((column) => row.cells[column.key].mean !== null)),
    ranks: Object.keys(table.charts.ranks).length, axis: table.charts.axis !== null,
    loss: table.charts.curves.some((curve) => curve.points.length > 1), places: table.charts.places.length, steps: runs.some((run) => run?.steps?.length > 1),
    tuning: runs.some((run) => tuningOf(run).length > 1), cost: costPoints(table, table.rows).length > 1,
  };
  return Object.keys(KINDS).filter((kind) => known[kind]);
}

function levelsOf(table, column, star = false) {
  const floor = table.floors[column.key], baseline = table.rows.find((row) => row.starred).cells[column.key].mean;
  return [...(floor === undefined ? [] : [{ y: floor, kind: "floor" }]), ...(star && baseline !== null ? [{ y: baseline, kind: "star" }] : [])];
}

const told = (row, column, cell) => `${titleOf(row)}\n${column.title}: ${number(cell.mean)}${cell.deviation !== null ? ` ± ${number(cell.deviation)}` : cell.error !== null ? ` (${number(cell.error, 1)})` : ""}`;

function scorePoint(row, column, x, extra = {}) {
  const cell = row.cells[column.key], spread = cell.deviation ?? cell.error;
  return { x, y: cell.mean, text: told(row, column, cell), ...(spread === null ? {} : { low: cell.mean - spread, high: cell.mean + spread }), ...extra };
}

const PANELS = {
  scores: (table, rows) => table.columns.map((column) => {
    const known = rows.filter((row) => row.cells[column.key].mean !== null);
    return known.length ? dotPanel(table, column, known) : null;
  }),
  ranks: (table, rows) => table.columns.filter((column) => table.charts.ranks[column.key]).map((column) => {
    const { correlation, places } = table.charts.ranks[column.key];
    const series = rows.filter((row) => row.key in places).map((row) => ({ name: row.title, index: 0, star: row.starred, points: [{ x: beside(places, row.key), y: row.cells[column.key].mean, number: numberOf(table, row), text: `${told(row, column, row.cells[column.key])}\nrank in the paper: ${places[row.key]}` }] }));
    const title = `${column.title} (${column.mirrors}): ρ = ${signed(correlation)}`;
    return series.length ? panel({ title, says: `${title}: score over the rank in the paper`, series, levels: levelsOf(table, column), x: { title: "rank in the paper", ticks: [...new Set(Object.values(places))] } }) : null;
  }),
  axis: (table, rows) => {
    const { title, log, places } = table.charts.axis, names = [...new Set(Object.values(places).map(([, series]) => series))];
    return table.columns.map((column) => {
      const along = (name) => rows.filter((row) => places[row.key]?.[1] === name && row.cells[column.key].mean !== null).sort((a, b) => places[a.key][0] - places[b.key][0]);
      const series = names.map((name, index) => ({ name, index, line: true, points: along(name).map((row) => scorePoint(row, column, places[row.key][0])) }));
      return series.some((each) => each.points.length) ? panel({ title: column.title, says: `${column.title} over ${title}`, series, levels: levelsOf(table, column, true), x: { title: title.length > 44 ? null : title, log, ticks: log ? [...new Set(Object.values(places).map(([x]) => x))] : undefined } }) : null;
    });
  },
  loss: (table, rows, state) => {
    const shown = new Set(rows.map((row) => row.key)), panels = {};
    for (const curve of table.charts.curves) if (curve.points.length > 1 && curve.rows.some((key) => shown.has(key))) (panels[curve.objective] ??= []).push(curve);
    return Object.entries(panels).map(([objective, curves], _, all) => panel({
      title: curves.length > 1 ? objective : curves[0].name, says: `Training loss: ${curves.map((curve) => curve.name).join(", ")}`, wide: all.length === 1,
      series: curves.flatMap((curve) => curveSeries(curve.name, rowIndex(table, curve.rows[0]), curve.points, state.smooth)), x: { title: "step" } }));
  },
  places: (table, rows) => table.columns.map((column) => {
    const shown = new Set(rows.map((row) => row.key)), curves = table.charts.places.filter((curve) => curve.column === column.key && shown.has(curve.row));
    const series = curves.map(({ name, row, alone, points }) => ({ name, index: rowIndex(table, row) + (alone ? 8 : 0), line: true, bare: true,
      points: points.map(([place, bits]) => ({ x: place, y: bits, text: `${name}\nplace ${place}: ${bits.toFixed(3)} bits` })) }));
    return series.length ? panel({ title: column.title, says: `${column.title}: bits an id by place in the segment`, series, wide: table.columns.length === 1, x: { title: "place in the segment" }, y: { title: "bits an id" } }) : null;
  }),
  steps: (table, rows) => byColumn(table, rows, (row, column) => firstRun(row, column)?.steps ?? [], "validation score by step", 2, true),
  tuning: (table, rows, state) => byColumn(table, rows, (row, column) => tuningOf(firstRun(row, column)), "fine-tuning loss by step", 3, false, state.smooth),
  cost: (table, rows) => [["seconds", 0], ["FLOPs", 1]].map(([what, at]) => {
    const points = costPoints(table, rows), sizes = points.map(({ cost }) => cost[at]);
    const log = sizes.length > 0 && Math.min(...sizes) > 0 && Math.max(...sizes) > 10 * Math.min(...sizes);
    const series = points.map(({ row, cost, mean }) => ({ name: row.title, index: rowIndex(table, row.key), star: row.starred, points: [{ x: cost[at], y: mean, number: numberOf(table, row), text: `${titleOf(row)}\nmean ${number(mean)}, ${tidy(cost[at])} ${what}` }] }));
    return points.length ? panel({ title: `${what} of training`, says: `Mean over the columns against ${what} of training`, series, x: { title: what, log } }) : null;
  }),
};

// Rows of one rank stand next to each other.
function beside(places, key) {
  const tied = Object.keys(places).filter((other) => places[other] === places[key]);
  return places[key] + 0.5 * (tied.indexOf(key) - (tied.length - 1) / 2);
}

const rowIndex = (table, key) => table.rows.findIndex((row) => row.key === key);
const numberOf = (table, row) => rowIndex(table, row.key) + 1;

function costPoints(table, rows) {
  return rows.filter((row) => row.key in table.charts.costs && table.columns.every((column) => row.cells[column.key].mean !== null))
    .map((row) => ({ row, cost: table.charts.costs[row.key], mean: table.columns.reduce((sum, column) => sum + row.cells[column.key].mean, 0) / table.columns.length }));
}

function byColumn(table, rows, pointsOf, what, digits, floor, smooth = 0) {
  return table.columns.map((column) => {
    const series = rows.map((row) => [row, pointsOf(row, column)]).filter(([, points]) => points.length > 1)
      .flatMap(([row, points]) => curveSeries(titleOf(row), rowIndex(table, row.key), points, smooth, digits));
    return series.length ? panel({ title: column.title, says: `${column.title}: ${what}`, series, levels: floor ? levelsOf(table, column) : [], x: { title: "step" } }) : null;
  });
}

// Rows from the top down, scores from left to right: names are read without turning the head.
function dotPanel(table, column, rows) {
  const line = 16, left = 150, width = 400, top = 6, height = top + line * rows.length + 34;
  const points = rows.map((row) => scorePoint(row, column, 0)), levels = levelsOf(table, column, true);
  const across = axisOf([...points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]), ...levels.map((level) => level.y)], left, width - 12);
  const svg = mark("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": `${column.title}: ${rows.map((row) => `${row.title} ${number(row.cells[column.key].mean)}`).join(", ")}` });
  const best = Math.max(...points.map((point) => point.y)), deviation = table.deviations[column.key], foot = height - 32;
  if (deviation && !table.meaningless) svg.append(mark("rect", { class: "band", x: across.place(best - 2 * deviation), width: across.place(best) - across.place(best - 2 * deviation), y: top, height: foot - top }));
  for (const tick of across.ticks) svg.append(mark("line", { class: "grid", x1: across.place(tick), x2: across.place(tick), y1: top, y2: foot }), mark("text", { x: across.place(tick), y: foot + 14, "text-anchor": "middle" }, tidy(tick)));
  for (const { y: at, kind } of levels) svg.append(mark("line", { class: `level ${kind}`, x1: across.place(at), x2: across.place(at), y1: top, y2: foot }));
  const placed = points.map((point, k) => {
    const y = top + line * (k + 0.5), at = [across.place(point.y), y], style = `color: ${rows[k].starred ? "var(--c0)" : "var(--ink)"}`;
    svg.append(mark("text", { x: left - 8, y: y + 4, "text-anchor": "end", class: rows[k].starred ? "star" : "" }, shortened(titleOf(rows[k]))));
    if (point.low !== undefined) svg.append(mark("line", { class: "whisker", style, x1: across.place(point.low), x2: across.place(point.high), y1: y, y2: y }));
    svg.append(mark("circle", { class: "dot", style, cx: at[0], cy: y, r: 3.5 }));
    return { ...point, at };
  });
  hover(svg, placed);
  return make("figure", {}, make("figcaption", { class: "head" }, column.title, make("span", { class: "measured" }, column.measured)), svg);
}

const shortened = (text, most = 20) => (text.length > most ? `${text.slice(0, most - 1).trimEnd()}…` : text);

function figuresPart(table, state, redraw) {
  const kinds = kindsOf(table);
  if (!kinds.length) return null;
  const kind = kinds.includes(state.figure) ? state.figure : kinds[0], rows = table.rows.filter((row) => !state.hidden.has(row.key));
  const drawn = () => PANELS[kind](table, rows, state).filter(Boolean);
  const panels = make("div", { class: "panels" }, ...drawn());
  panels.classList.toggle("broad", kind === "scores" || panels.children.length < 4);
  const smooth = make("input", { type: "range", min: 0, max: 6, step: 1, value: state.smooth, oninput: (event) => {
    state.smooth = Number(event.target.value);
    panels.replaceChildren(...drawn());
  } });
  return make("div", { class: "pictures" },
    make("div", { class: "bar" }, choice("Figure", `figure-${table.name}`, kinds.map((each) => [each, KINDS[each][0]]), kind, (value) => { state.figure = value; redraw(); }),
      ["loss", "tuning"].includes(kind) ? make("label", { class: "dim" }, "Smoothing ", smooth) : null),
    make("p", { class: "caption" }, KINDS[kind][1](table)), legendOf(table, kind, state, redraw), panels);
}

function legendOf(table, kind, state, redraw) {
  if (kind === "scores") return null;
  const names = [...new Set(Object.values(table.charts.axis?.places ?? {}).map(([, series]) => series))].filter(Boolean);
  if (kind === "axis") return names.length > 1 ? legend(names.map((title, index) => ({ title, index }))) : null;
  return legend(table.rows.map((row, index) => ({
    title: titleOf(row), index, number: ["ranks", "cost"].includes(kind) ? index + 1 : undefined, hidden: state.hidden.has(row.key),
    toggle: () => { toggled(state.hidden, row.key); redraw(); },
  })));
}

function toggled(set, key) {
  if (!set.delete(key)) set.add(key);
}
