// Panels of dots and lines, each value shown where the pointer is; colours are those of Okabe and Ito.
const BOX = { left: 42, right: 10, top: 8, bottom: 34 };
const DASHES = ["", "5 3", "1.5 2.5"];
const colour = (index) => `var(--c${index % 8})`;
const dash = (index) => DASHES[Math.floor(index / 8) % 3];

function ticksOf(low, high, most = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough);
  const ticks = [];
  for (let k = Math.ceil(low / step); k * step <= high + step / 1e6; k++) ticks.push(k * step);
  return ticks;
}

const tidy = (value) => {
  const size = Math.abs(value);
  if (size && (size >= 1e5 || size < 1e-3)) return value.toExponential(1).replace("e+", "e");
  return minus(String(+value.toFixed(size >= 100 ? 0 : size >= 1 ? 2 : 4)));
};

function decades(low, high) {
  const ticks = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * 1.000001; power++) ticks.push(10 ** power);
  return ticks.length > 1 ? ticks : [low, high];
}

// Values -> pixels from `from` to `to`, with a margin on both sides; `ends` are values that must be seen.
function axisOf(values, from, to, log, margin = 0.04) {
  const zero = log && Math.min(...values) === 0; // which has no logarithm: 1 is added to all
  const turn = zero ? Math.log1p : log ? Math.log : (value) => value;
  let [low, high] = [Math.min(...values), Math.max(...values)].map(turn);
  if (low === high) [low, high] = [low - (Math.abs(low) || 1) * 0.05, high + (Math.abs(high) || 1) * 0.05];
  const extra = (high - low) * margin, back = zero ? Math.expm1 : log ? Math.exp : (value) => value;
  [low, high] = [low - extra, high + extra];
  const place = (value) => from + ((turn(value) - low) / (high - low)) * (to - from);
  return { place, low: back(low), high: back(high), ticks: log ? decades(zero ? 1 : back(low), back(high)) : ticksOf(low, high) };
}

// One panel. `series`: [{name, index, points: [{x, y, text, low, high, number}], line, faint, star}]; `levels`: [{y, text, kind}].
function panel({ title, says, x = {}, y = {}, series, levels = [], band = null, wide = false }) {
  const width = wide ? 640 : 320, height = wide ? 280 : 210;
  const drawn = series.filter((each) => each.points.length);
  const points = drawn.flatMap((each) => each.points);
  const xs = points.map((point) => point.x), ys = points.flatMap((point) => [point.y, point.low ?? point.y, point.high ?? point.y]);
  const across = axisOf(xs, BOX.left, width - BOX.right, x.log);
  const down = axisOf([...ys, ...levels.map((level) => level.y)], height - BOX.bottom, BOX.top, false, 0.07);
  const svg = mark("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": says ?? title });
  frame(svg, across, down, width, height, x, y);
  if (band) svg.append(mark("rect", { class: "band", x: BOX.left, width: width - BOX.left - BOX.right, y: down.place(band[1]), height: Math.max(0, down.place(band[0]) - down.place(band[1])) }));
  for (const { y: at, kind } of levels) svg.append(mark("line", { class: `level ${kind}`, x1: BOX.left, x2: width - BOX.right, y1: down.place(at), y2: down.place(at) }));
  const placed = [];
  for (const each of drawn) placed.push(...drawSeries(svg, each, across, down));
  hover(svg, placed);
  return make("figure", { class: wide ? "wide" : "" }, title ? make("figcaption", { class: "head" }, title) : null, svg);
}

function frame(svg, across, down, width, height, x, y) {
  for (const tick of down.ticks) {
    svg.append(mark("line", { class: "grid", x1: BOX.left, x2: width - BOX.right, y1: down.place(tick), y2: down.place(tick) }),
      mark("text", { x: BOX.left - 5, y: down.place(tick) + 4, "text-anchor": "end" }, tidy(tick)));
  }
  for (const tick of x.ticks ?? across.ticks) {
    svg.append(mark("line", { class: "grid", x1: across.place(tick), x2: across.place(tick), y1: BOX.top, y2: height - BOX.bottom }),
      mark("text", { x: across.place(tick), y: height - BOX.bottom + 14, "text-anchor": "middle" }, tidy(tick)));
  }
  if (x.title) svg.append(mark("text", { x: (BOX.left + width) / 2, y: height - 4, "text-anchor": "middle" }, x.title));
  if (y.title) svg.append(mark("text", { x: 0, y: 0, transform: `translate(9 ${(height - BOX.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, y.title));
}

function drawSeries(svg, each, across, down) {
  const style = `color: ${colour(each.index)}`;
  const placed = each.points.map((point) => ({ ...point, at: [across.place(point.x), down.place(point.y)] }));
  const path = (list) => list.map(({ at: [px, py] }, k) => `${k ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
  if (each.line) svg.append(mark("path", { class: each.faint ? "line faint" : "line", style, d: path(placed), "stroke-dasharray": dash(each.index) }));
  if (each.faint) return [];
  for (const point of placed) {
    const [px, py] = point.at;
    if (point.low !== undefined) svg.append(mark("line", { class: "whisker", style, x1: px, x2: px, y1: down.place(point.low), y2: down.place(point.high) }));
    if (point.number !== undefined) {
      svg.append(mark("circle", { class: each.star ? "number star" : "number", cx: px, cy: py, r: 8.5 }),
        mark("text", { class: each.star ? "number star" : "number", x: px, y: py + 3.5, "text-anchor": "middle" }, point.number));
    } else if (!each.bare) svg.append(mark("circle", { class: "dot", style, cx: px, cy: py, r: each.star ? 5 : 3.5 }));
  }
  return placed;
}

// Shows the value that is nearest to the pointer, or to a finger.
function hover(svg, placed) {
  const ring = mark("circle", { class: "ring", r: 7, visibility: "hidden" });
  svg.append(ring);
  const hide = () => { ring.setAttribute("visibility", "hidden"); tell_at(null); };
  const seek = (event) => {
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const [x, y] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const far = ({ at: [px, py] }) => Math.hypot(px - x, py - y);
    const nearest = placed.reduce((best, point) => (best === null || far(point) < far(best) ? point : best), null);
    if (nearest === null || far(nearest) > 40) { hide(); return; }
    const [px, py] = nearest.at;
    for (const [name, value] of Object.entries({ cx: px, cy: py, visibility: "visible" })) ring.setAttribute(name, value);
    tell_at(nearest.text, box.left + px / scale, box.top + py / scale);
  };
  svg.addEventListener("pointermove", seek);
  svg.addEventListener("pointerdown", seek);
  svg.addEventListener("pointerleave", hide);
}

function tell_at(text, x, y) {
  const tip = document.getElementById("tip");
  tip.hidden = text === null;
  if (text === null) return;
  (document.querySelector("dialog[open]") ?? document.body).append(tip); // a dialog lies above all else
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${y - height - 10 < 0 ? y + 14 : y - height - 10}px`;
}

// The mean of every point and the `reach` before and after it.
function smoothed(points, reach) {
  return points.map(([step], k) => {
    const near = points.slice(Math.max(0, k - reach), k + reach + 1).map((point) => point[1]);
    return [step, near.reduce((sum, value) => sum + value, 0) / near.length];
  });
}

function curveSeries(name, index, points, reach, digits = 3) {
  const text = (step, value) => `${name}\nstep ${step}: ${value.toFixed(digits)}${reach ? " (smoothed)" : ""}`;
  const values = (list) => list.map(([step, value]) => ({ x: step, y: value, text: text(step, value) }));
  const raw = { name, index, points: values(points), line: true, bare: points.length > 12 };
  return reach ? [{ ...raw, faint: true }, { ...raw, points: values(smoothed(points, reach)) }] : [raw];
}

// What a colour stands for; a button takes its row away and brings it back.
function legend(entries) {
  return make("ul", { class: "legend" }, ...entries.map(({ title, index, number: label, hidden, toggle }) => {
    const sign = label !== undefined ? make("span", { class: "sign", "aria-hidden": "true" }, String(label))
      : mark("svg", { viewBox: "0 0 26 10", class: "sign", "aria-hidden": "true" }, mark("path", { class: "line", style: `color: ${colour(index)}`, d: "M1 5H25", "stroke-dasharray": dash(index) }), mark("circle", { class: "dot", style: `color: ${colour(index)}`, cx: 13, cy: 5, r: 3.5 }));
    return make("li", {}, toggle ? make("button", { "aria-pressed": String(!hidden), title: "Show or hide the row", onclick: toggle }, sign, ` ${title}`) : make("span", {}, sign, ` ${title}`));
  }));
}
