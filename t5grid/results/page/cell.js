// The page of one cell: scores, curves, examples and the config behind it.
function runPart(run) {
  const parts = [make("h3", {}, `Seed ${run.seed}: ${run.score === null ? run.state : number(run.score)}`)];
  if (run.tasks) {
    const rows = Object.entries(run.tasks).map(([task, scores]) => make("tr", {}, make("th", { scope: "row" }, task),
      make("td", { class: "text" }, Object.entries(scores).map(([name, value]) => `${name} ${name === "step" ? value : number(value)}`).join(", "))));
    parts.push(scrolling(`Scores of seed ${run.seed}`, "", make("table", {}, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Task"), make("th", { class: "text", scope: "col" }, "Scores at its chosen step"))), make("tbody", {}, ...rows))));
  }
  parts.push(make("div", { class: "panels" }, ...curvesPart(run)), ...attentionPart(run), ...samplesPart(run));
  if (run.detail || run.identity) parts.push(folded("Where it is from", run.detail ? make("p", { class: "dim" }, run.detail) : null, make("p", { class: "dim" }, make("code", {}, run.identity))));
  return make("section", {}, ...parts);
}

function curvesPart(run) {
  const step = { title: "step" }, panels = [];
  for (const [stage, points] of Object.entries(run.curves)) {
    const what = `${{ finetune: "Fine-tuning", pretrain: "Pre-training", multitask: "Multi-task" }[stage.split("/")[0]] ?? "Training"} loss`;
    if (points.length > 1) panels.push(panel({ title: what, says: `${what} of ${stage}, from ${number(points[0][1])} to ${number(points.at(-1)[1])}`, series: curveSeries(what, 0, points, 0), x: step }));
  }
  if (run.steps?.length > 1) panels.push(panel({ title: "Validation score by step", says: `Validation score by step: ${run.steps.map(([at, score]) => `${at}: ${number(score)}`).join(", ")}`, series: curveSeries("validation score", 2, run.steps, 0, 2), x: step }));
  return panels;
}

function samplesPart(run) {
  if (!run.samples) return [];
  const list = Object.entries(run.samples).flatMap(([task, samples]) => samples.map((sample) => make("dl", { class: "example" },
    ...[["task", task], ["input", sample.input], ["target", sample.target], ["prediction", sample.prediction]].flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]))));
  return [make("h3", {}, "Decoded examples"), ...list];
}

// The same cell where the page has it at another budget.
function elsewhere(table, row, column) {
  return studies.filter((other) => other !== study).map((other) => {
    const cell = other.tables.find((each) => each.name === table.name)?.rows.find((each) => each.key === row.key)?.cells[column.key];
    return cell && cell.mean !== null ? make("p", { class: "dim" }, `${other.scale}: ${number(cell.mean)}${cell.deviation === null ? "" : ` ± ${number(cell.deviation)}`}`) : null;
  });
}

function open(table, row, column) {
  const dialog = document.getElementById("cell"), cell = row.cells[column.key], paper = paperScore(row, column);
  tell_at(null);
  const parts = [make("button", { class: "plain close", onclick: () => dialog.close() }, "Close"),
    make("h2", { id: "cell-title" }, `${row.title}: ${column.title}`),
    make("p", {}, cell.mean === null ? cell.hole : `Score ${number(cell.mean)}${cell.deviation === null ? "" : ` ± ${number(cell.deviation)}`}`, paper === null ? "" : `; the paper's ${column.mirrors}: ${number(paper)}`),
    ...elsewhere(table, row, column), ...cell.runs.map((identity) => runPart(study.runs[identity])),
    make("h3", {}, "Config"), make("p", { class: "dim" }, "Overrides: ", make("code", {}, row.overrides.join(" ") || "none: the baseline")), make("pre", { tabindex: "0", role: "region", "aria-label": "Config" }, row.config)];
  dialog.replaceChildren(...parts.filter(Boolean));
  dialog.showModal();
}
