// What every other script stands on: elements, numbers, the state of a reader's view.
const SPACE = "http://www.w3.org/2000/svg";

function make(tag, options = {}, ...children) {
  return fill(document.createElement(tag), options, children);
}

function mark(tag, options = {}, ...children) {
  return fill(document.createElementNS(SPACE, tag), options, children);
}

function fill(element, options, children) {
  for (const [name, value] of Object.entries(options)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const number = (value, digits = 2) => (value === null || value === undefined ? "–" : typeof value === "string" ? value : value.toFixed(digits));
const minus = (text) => text.replace("-", "−");
const signed = (value, digits = 2) => (value === null ? "–" : (value > 0 ? "+" : value < 0 ? "−" : "±") + Math.abs(value).toFixed(digits));
const titleOf = (row) => (row.starred ? "★ " : "") + row.title;

// A group of radio buttons; `choices` are [value, label].
function choice(legend, name, choices, chosen, change) {
  const radios = choices.map(([value, label]) => {
    const radio = make("input", { type: "radio", name, value, onchange: () => change(value) });
    radio.checked = value === chosen;
    return make("label", {}, radio, ` ${label}`);
  });
  return make("fieldset", {}, make("legend", {}, legend), ...radios);
}

// A box that scrolls by itself, also with the keyboard.
const scrolling = (label, kind, ...children) => make("div", { class: `scroll ${kind}`, tabindex: "0", role: "region", "aria-label": label }, ...children);

const folded = (title, ...children) => make("details", {}, make("summary", {}, title), ...children);

const view = {}; // scale and experiment -> what a reader has chosen there: kept when data are refreshed

function viewOf(table) {
  return (view[`${study.scale} ${table.name}`] ??= { show: "ours", sort: null, descending: false, hidden: new Set(), figure: "scores", smooth: 0, open: {}, column: null });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch { // no permission, or a page that is not of a secure origin
    const area = make("textarea", {}, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
