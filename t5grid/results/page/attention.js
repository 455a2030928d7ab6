// What the model of a cell attends to while it answers a text: a map for each layer and head.
const PARTS = {
  encoder: ["encoder", "What each token that is read attends to."],
  decoder: ["decoder", "What each token that is written attends to among those before it."],
  cross: ["decoder to encoder", "What each token that is written attends to in the input."],
};

function attentionPart(run) {
  if (!run.attention?.length) return [];
  return [make("h3", {}, "Attention"), ...run.attention.map((entry, number) => attentionOf(entry, `${run.identity}-${number}`))];
}

function attentionOf(entry, name) {
  const chosen = { part: entry.parts.find(({ part }) => part === "cross")?.part ?? entry.parts[0].part, layer: 0, head: 0 };
  const place = make("div", {}), list = entry.parts.map(({ part }) => [part, PARTS[part][0]]);
  const redraw = (focus) => {
    const part = entry.parts.find((each) => each.part === chosen.part);
    const maps = part.weights.flatMap((heads, layer) => heads.map((weights, head) => smallMap(part, weights, layer, head, chosen, redraw)));
    place.replaceChildren(make("p", { class: "caption" }, `${PARTS[part.part][1]} A line a token, its weights 1 in sum; the darker, the more. Choose a layer and head:`),
      make("div", { class: "maps" }, ...maps), largeMap(part, chosen));
    if (focus) place.querySelector("[aria-pressed=true]").focus();
  };
  redraw();
  return make("div", {}, make("p", {}, make("span", { class: "dim" }, "reads: "), entry.text, make("br"), make("span", { class: "dim" }, "writes: "), entry.answer),
    list.length > 1 ? choice("Attention of", `attention-${name}`, list, chosen.part, (part) => { Object.assign(chosen, { part, layer: 0, head: 0 }); redraw(); }) : null, place);
}

function smallMap(part, weights, layer, head, chosen, redraw) {
  const canvas = make("canvas", { width: part.keys.length, height: part.queries.length, "aria-hidden": "true" }), pen = canvas.getContext("2d");
  weights.forEach((row, y) => row.forEach((weight, x) => {
    pen.fillStyle = `rgb(0 114 178 / ${weight / 1000})`;
    pen.fillRect(x, y, 1, 1);
  }));
  const pressed = chosen.layer === layer && chosen.head === head;
  return make("button", { "aria-pressed": String(pressed), onclick: () => { Object.assign(chosen, { layer, head }); redraw(true); } }, canvas, `layer ${layer + 1}, head ${head + 1}`);
}

function largeMap(part, { layer, head }) {
  const { queries, keys } = part, weights = part.weights[layer][head], side = 16, left = 90, foot = 80;
  const width = left + side * keys.length + 4, height = side * queries.length + foot;
  const says = `Layer ${layer + 1}, head ${head + 1}: ${queries.map((query, y) => `${query} most to ${keys[weights[y].indexOf(Math.max(...weights[y]))]}`).join(", ")}`;
  const svg = mark("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart", role: "img", "aria-label": says }), placed = [];
  svg.append(mark("rect", { class: "weights", x: left, y: 0, width: side * keys.length, height: side * queries.length }));
  queries.forEach((query, y) => {
    svg.append(mark("text", { x: left - 5, y: side * y + 12, "text-anchor": "end" }, shortened(query, 13)));
    weights[y].forEach((weight, x) => {
      if (weight) svg.append(mark("rect", { class: "weight", x: left + side * x, y: side * y, width: side, height: side, "fill-opacity": weight / 1000 }));
      placed.push({ at: [left + side * (x + 0.5), side * (y + 0.5)], text: `${query} → ${keys[x]}: ${(weight / 1000).toFixed(3)}` });
    });
  });
  keys.forEach((key, x) => svg.append(mark("text", { transform: `translate(${left + side * x + 12} ${side * queries.length + 6}) rotate(-60)`, "text-anchor": "end" }, shortened(key, 13))));
  hover(svg, placed);
  const figure = make("figure", { class: "map" }, make("figcaption", { class: "head" }, `Layer ${layer + 1}, head ${head + 1}`), svg);
  figure.style.maxWidth = `${Math.min(46, width / 12)}rem`;
  return scrolling(`Attention of layer ${layer + 1}, head ${head + 1}`, "", figure);
}
