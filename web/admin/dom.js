// Elements, and the words and numbers in them.

const config = JSON.parse(document.getElementById("config").textContent);

export const text = config.text;
export const lang = config.lang;

// el makes an element. Of its attributes those that begin with "on" are listeners, a false, null or undefined one is left out,
// and true is an empty one. Children are elements, texts, lists of them, or nothing. Markup is never parsed.
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...real(children));
  return made;
}

const real = (children) => children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false);

// put makes these the children of an element, in place of those it has.
export const put = (parent, ...children) => parent.replaceChildren(...real(children));

// fill puts values in the place of {names}; {name|one|many} also has a word for one and for several.
export const fill = (words, values) => words.replace(/\{(\w+)(?:\|([^|}]*)\|([^}]*))?\}/g, (whole, name, one, many) => {
  const value = values[name];
  if (value === undefined) return whole;
  return one === undefined ? value : `${value} ${value === "1" ? one : many}`;
});

const whole = new Intl.NumberFormat(lang);
const short = new Intl.NumberFormat(lang, { notation: "compact", maximumSignificantDigits: 3 });
const exact = new Intl.NumberFormat(lang, { maximumSignificantDigits: 3 });

export const number = (n) => (Number.isFinite(n) ? whole.format(n) : "–");
export const compact = (n) => (Number.isFinite(n) ? (Math.abs(n) < 10000 ? whole.format(Math.round(n)) : short.format(n)) : "–");
export const rate = (n) => (Number.isFinite(n) ? (n < 100 ? exact.format(n) : compact(n)) : "–");

export function bytes(n) {
  if (!Number.isFinite(n)) return "–";
  if (n === 0) return "0";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let i = 0;
  for (; n >= 1000 && i < units.length - 1; i++) n /= 1000;
  return `${exact.format(n)} ${units[i]}`;
}

export function seconds(s) {
  if (!Number.isFinite(s)) return "–";
  if (s === 0) return "0";
  if (s < 0.001) return `${exact.format(s * 1e6)} µs`;
  if (s < 1) return `${exact.format(s * 1e3)} ms`;
  return `${exact.format(s)} s`;
}

const clock = new Intl.DateTimeFormat(lang, { dateStyle: "medium", timeStyle: "medium" });

// time shows a moment, in the zone of who looks.
export function time(iso) {
  return el("time", { datetime: iso, title: iso }, clock.format(new Date(iso)));
}

let notice = 0;

// notify says something in passing, to screen readers too.
export function notify(words, kind = "good") {
  const box = document.getElementById("notices");
  const one = el("p", { class: kind, id: `notice-${++notice}` }, words);
  box.append(one);
  while (box.childElementCount > 3) box.firstElementChild.remove();
  setTimeout(() => one.remove(), kind === "bad" ? 12000 : 5000);
}

// trouble is a paragraph that says what went wrong.
export const trouble = (error) => el("p", { class: "trouble", role: "alert" }, error.message);

// field is a label with its input, and a hint below.
let fields = 0;
export function field(label, input, hint) {
  input.id ||= `field-${++fields}`;
  const below = hint && el("p", { class: "hint", id: `${input.id}-hint` }, hint);
  if (below) input.setAttribute("aria-describedby", below.id);
  return el("div", { class: "field" }, el("label", { for: input.id }, label), input, below);
}

// table has a caption that only screen readers are told. On a phone the rows of a wide one become cards, whose cells have their
// heads before them; the roles keep it a table.
export function table(caption, heads, rows) {
  for (const line of rows) [...line.cells].forEach((cell, i) => (cell.dataset.head = heads[i]));
  return el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el("table", { role: "table", class: heads.length > 2 && "wide" },
      el("caption", { class: "unseen" }, caption),
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map((head) => el("th", { scope: "col", role: "columnheader" }, head)))),
      el("tbody", { role: "rowgroup" }, rows)));
}

export const row = (...cells) => el("tr", { role: "row" }, cells.map((cell) => el("td", { role: "cell" }, cell)));

// tiles are large figures with their names: [[name, value]].
export const tiles = (list) => el("dl", { class: "tiles" }, list.map(([name, value]) => el("div", { class: "tile" }, el("dt", {}, name), el("dd", {}, value))));

// facts are smaller ones.
export const facts = (list) => el("dl", { class: "facts" }, list.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
