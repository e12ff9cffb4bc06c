// The first page: how many are here, what is pushed, and how fast, as it happens.

import { audience } from "./api.js";
import { Chart } from "./chart.js";
import { bytes, compact, el, fill, number, rate, seconds, text } from "./dom.js";
import { at, byKind, Live, perSecond } from "./live.js";

const revisions = { 3: text.clients_old, 4: text.clients_new };
const latest = (column) => column.at(-1) ?? NaN;

// tile is a large number with its name.
function tile(name) {
  const value = el("dd", {}, "–");
  return { view: el("div", { class: "tile" }, el("dt", {}, name), value), say: (words) => (value.textContent = words) };
}

export function overviewPage() {
  if (audience() !== "") {
    return { view: el("div", { class: "page" }, el("div", { class: "head" }, el("h1", {}, text.overview)), el("p", { class: "card" }, fill(text.limited, { audience: audience() }))) };
  }
  const tiles = {
    users: tile(text.users_online), connections: tile(text.connections), pushes: tile(text.pushes_second), deliveries: tile(text.deliveries_second),
    p99: tile(text.p99), memory: tile(text.memory),
  };
  const charts = {
    online: new Chart(text.online_chart, compact, 4), pushes: new Chart(text.per_second, rate, 4),
    transports: new Chart(text.by_transport, compact, 4), versions: new Chart(text.by_version, compact, 4),
    latency: new Chart(text.latency, seconds, 1e-4, text.latency_hint), queue: new Chart(text.queue_bytes, bytes, 1000, text.queue_hint),
    memory: new Chart(text.memory, bytes, 1e6), callbacks: new Chart(text.callbacks, compact, 4),
  };
  const state = el("p", { class: "state", role: "status", "data-state": "begin" }, el("i", { "aria-hidden": "true" }), el("span", {}, text.live_begin));
  const callbacks = charts.callbacks.view;
  callbacks.hidden = true;

  const sample = (list) => {
    const times = list.map(at);
    const last = list.at(-1);
    const pushes = perSecond(list, (one) => one.pushes);
    const deliveries = perSecond(list, (one) => one.delivered);
    const dropped = perSecond(list, (one) => one.slow + one.gone + one.failed);
    tiles.users.say(number(last.users));
    tiles.connections.say(number(last.connections));
    tiles.pushes.say(rate(latest(pushes)));
    tiles.deliveries.say(rate(latest(deliveries)));
    const known = list.findLast((one) => one.latency);
    tiles.p99.say(seconds(known?.latency.p99 ?? NaN));
    tiles.memory.say(bytes(last.memory));
    charts.online.set(times, [{ label: text.users_online, column: list.map((one) => one.users) }, { label: text.connections, column: list.map((one) => one.connections) }]);
    charts.transports.set(times, byKind(list, (socket) => socket.transport));
    charts.versions.set(times, byKind(list, (socket) => revisions[socket.revision] ?? text.clients_plain));
    charts.pushes.set(times, [{ label: text.pushes, column: pushes }, { label: text.deliveries, column: deliveries }, { label: text.dropped, column: dropped }]);
    charts.latency.set(times, ["p50", "p99"].map((p) => ({ label: p, column: list.map((one) => one.latency?.[p] ?? null) })));
    charts.queue.set(times, [{ label: text.queue_waiting, column: list.map((one) => one.queue_bytes) }]);
    charts.memory.set(times, [{ label: text.memory_held, column: list.map((one) => one.memory) }, { label: text.memory_used, column: list.map((one) => one.heap) }]);
    callbacks.hidden = !last.webhooks;
    if (last.webhooks) {
      charts.callbacks.set(times, [
        { label: text.callbacks_waiting, column: list.map((one) => one.webhooks?.waiting ?? null) },
        { label: text.callbacks_dead, column: list.map((one) => one.webhooks?.dead ?? null) },
      ]);
    }
  };
  const live = new Live({
    sample,
    state: (word) => {
      if (state.dataset.state === word) return;
      state.dataset.state = word;
      state.querySelector("span").textContent = { live: text.live, lost: text.live_lost }[word];
    },
  });
  const all = Object.values(charts);
  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.overview), state),
      el("dl", { class: "tiles" }, Object.values(tiles).map((one) => one.view)),
      el("div", { class: "charts" }, all.map((one) => one.view))),
    ready() {
      for (const one of all) one.start();
      live.start();
    },
    leave() {
      live.stop();
      for (const one of all) one.stop();
    },
  };
}
