// A ticker. The web site pushes the prices to a room every second; the bell is a timed push, which Crier makes by itself.
import { $, clock, connect, element, text, uid } from "./tour.js";

const width = 160, height = 36, most = 60;
const rows = new Map(); // by symbol
const socket = connect(uid("visitor"), "quotes", (history) => {
  for (const row of rows.values()) row.course = [];
  history.forEach(show);
});

socket.on("quotes", show);

socket.on("bell", (every) => {
  $("bell").textContent = text.bell.replace("{time}", clock(new Date())).replace("{every}", every);
  $("bell").classList.remove("rung");
  requestAnimationFrame(() => $("bell").classList.add("rung"));
});

function show(quotes) {
  for (const { symbol, price, open } of quotes) {
    const row = rows.get(symbol) ?? add(symbol);
    row.course = [...row.course, price].slice(-most);
    const change = ((price - open) / open) * 100;
    row.price.textContent = price.toFixed(2);
    row.change.textContent = `${change < 0 ? "−" : "+"}${Math.abs(change).toFixed(2)} %`;
    row.line.dataset.way = change < 0 ? "down" : "up";
    row.path.setAttribute("points", points(row.course));
  }
}

function add(symbol) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS(svg.namespaceURI, "polyline");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  svg.append(path);
  const price = element("td", { className: "number" }), change = element("td", { className: "number change" });
  const line = element("tr", {}, element("th", { scope: "row" }, symbol), price, change, element("td", { className: "wide" }, svg));
  $("quotes").append(line);
  const row = { line, price, change, path, course: [] };
  rows.set(symbol, row);
  return row;
}

function points(course) {
  const low = Math.min(...course), span = Math.max(...course) - low || 1;
  return course.map((price, i) => `${(i / (most - 1)) * width},${(height - 2) - ((price - low) / span) * (height - 4)}`).join(" ");
}
