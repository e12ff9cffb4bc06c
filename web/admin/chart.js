// A chart over time, drawn by uPlot, with the latest values in words below it.

import { el, text } from "./dom.js";

const height = 150;
const shortest = 60; // seconds that the chart is wide, at least
const style = () => getComputedStyle(document.documentElement);

export class Chart {
  #plot = null;
  #labels = "";
  #box = el("div", { class: "plot", "aria-hidden": "true" });
  #legend = el("dl", { class: "legend" });
  #data = null;
  #series = [];
  #format;
  #least;
  #resized = new ResizeObserver(() => this.#fit());
  #themed = () => this.#make();

  // view is a figure with that caption; format writes a value, and least is how much there is room for at any rate.
  constructor(caption, format, least, hint) {
    this.#format = format;
    this.#least = least;
    this.view = el("figure", { class: "card chart" }, el("figcaption", {}, caption, hint && el("small", {}, hint)), this.#box, this.#legend);
    if (!window.uPlot) this.#box.append(el("p", { class: "hint" }, text.no_charts));
  }

  start() {
    this.#resized.observe(this.#box);
    addEventListener("theme", this.#themed);
  }

  stop() {
    this.#resized.disconnect();
    removeEventListener("theme", this.#themed);
    this.#plot?.destroy();
    this.#plot = null;
  }

  // set shows columns of values over times, in seconds: [{label, column}].
  set(times, series) {
    this.#series = series;
    this.#data = [times, ...series.map((one) => one.column)];
    if (times.length === 1) this.#data = this.#data.map((column, i) => [i === 0 ? times[0] - shortest : null, ...column]); // which uPlot would show in a day
    const labels = series.map((one) => one.label).join("\n");
    if (labels !== this.#labels || !this.#plot) {
      this.#labels = labels;
      this.#make();
    } else {
      this.#plot.setData(this.#data);
      this.#say(null);
    }
  }

  #make() {
    if (!this.#data) return;
    this.#legend.replaceChildren(...this.#series.map(({ label }, i) => el("div", { class: `s${i % 6}` }, el("dt", {}, label), el("dd", {}, "–"))));
    this.#say(null);
    if (!window.uPlot || this.#box.clientWidth === 0) return;
    this.#plot?.destroy();
    const colour = (name) => style().getPropertyValue(name).trim();
    const axis = { stroke: colour("--ink-soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false }, font: `11px ${colour("--sans")}` };
    this.#plot = new window.uPlot({
      width: this.#box.clientWidth, height, padding: [8, 28, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: {
        x: { range: (_, first, last) => [Math.min(first, last - shortest), last] },
        y: { range: (_, low, high) => [0, Math.max((high ?? 0) * 1.08, this.#least)] },
      },
      axes: [
        { ...axis, space: 70, size: 26, values: (_, ticks) => ticks.map((tick) => clock(tick)) },
        { ...axis, size: 58, space: 32, values: (_, ticks) => ticks.map((tick) => this.#format(tick)) },
      ],
      series: [{}, ...this.#series.map((one, i) => ({
        label: one.label, stroke: colour(`--s${i % 6}`), width: 1.6, spanGaps: true, points: { show: () => this.#series[0].column.length < 2 },
        fill: this.#series.length === 1 ? colour(`--s${i % 6}`) + "22" : undefined,
      }))],
      hooks: { setCursor: [(plot) => this.#say(plot.cursor.left >= 0 ? plot.cursor.idx : null)] },
    }, this.#data, this.#box);
  }

  #fit() {
    if (!this.#plot) this.#make();
    else if (this.#box.clientWidth > 0) this.#plot.setSize({ width: this.#box.clientWidth, height });
  }

  // say puts the values of one moment, or the latest, into words.
  #say(index) {
    const values = this.#legend.querySelectorAll("dd");
    this.#data.slice(1).forEach((column, i) => {
      const value = index === null ? column.at(-1) : column[index];
      if (values[i]) values[i].textContent = this.#format(value ?? NaN);
    });
  }
}

const hours = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
const clock = (seconds) => hours.format(new Date(seconds * 1000));
