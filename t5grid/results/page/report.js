// The page as a whole: which study is shown, and fresh data while it is served.
const sent = JSON.parse(document.getElementById("data").textContent);
let studies = sent.studies, study = studies[0];

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
  const top = window.scrollY, focusable = "a, button, input, select, summary, [tabindex]";
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
  if (nav.children.length !== links.length) nav.replaceChildren(...links.map(([id, title]) => make("li", {}, make("a", { href: `#${id}` }, title))));
  document.getElementById("main").replaceChildren(summarySection(), matrixSection(), findingsSection(), ...study.tables.map(tableSection));
  restore();
}

function offerBudgets() {
  if (studies.length < 2) return;
  const choices = studies.map((each) => [each.stem, each.stem]);
  document.getElementById("budgets").replaceChildren(choice("Budget", "budget", choices, study.stem, (stem) => { study = studies.find((each) => each.stem === stem); draw(); }));
}

document.getElementById("theme").addEventListener("click", () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "light" : "dark";
});
offerBudgets();
draw();

let tag = null, waiting = false;

async function refresh() {
  if (waiting || document.getElementById("cell").open) return;
  waiting = true;
  try {
    const reply = await fetch("data.json", tag ? { headers: { "If-None-Match": tag } } : {});
    if (reply.status !== 200) { tellCounts(); return; }
    const fresh = await reply.json();
    if (document.getElementById("cell").open) return; // asked for again when the reader has closed it
    studies = fresh.studies;
    study = studies.find((each) => each.stem === study.stem) ?? studies[0];
    tag = reply.headers.get("ETag");
    draw();
  } catch {
    tell("The server has stopped; this is the last state it sent.");
  } finally {
    waiting = false;
  }
}

if (sent.live) setInterval(refresh, 3000);
