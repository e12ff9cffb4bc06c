// Callbacks to the business: how they go, the latest attempts, and those that were given up.

import { call, get, may } from "./api.js";
import { el, fill, notify, number, put, row, seconds, table, text, tiles, time, trouble } from "./dom.js";
import { pagedList } from "./list.js";
import { userLink } from "./users.js";

const results = { delivered: text.result_delivered, failed: text.result_failed, given_up: text.result_given_up };
const kinds = { "user.online": text.online_event, "user.offline": text.offline_event };

export function callbacksPage() {
  const figures = el("div", {});
  const dead = pagedList({
    path: "webhooks/dead", size: 20, empty: text.no_dead, read: (answer) => answer.dead,
    draw: (list) => table(text.dead, [text.callback, text.user, text.attempts_made, text.error, text.given_up_at, ""], list.map((one) => row(
      kinds[one.callback.type] ?? one.callback.type, userLink(one.callback.data?.uid ?? ""), number(one.attempts), one.error, time(one.parked),
      may("admin") && el("button", { type: "button", class: "small", onclick: () => replay({ ids: [one.id] }) }, text.replay)))),
  });
  const attempts = pagedList({
    path: "webhooks/attempts", size: 20, empty: text.no_attempts, read: (answer) => answer.attempts,
    draw: (list) => table(text.attempts, [text.time, text.callback, text.user, text.attempt, text.result, text.took], list.map((one) => row(
      time(one.time), kinds[one.type] ?? one.type, userLink(one.uid), number(one.attempt),
      [el("span", { class: `badge ${one.result}` }, results[one.result]), one.error && el("small", {}, one.error)], seconds(one.seconds)))),
  });

  async function replay(which) {
    try {
      const done = await call("POST", "webhooks/replay", which);
      notify(fill(text.replayed, { n: number(done.replayed) }));
      await load();
    } catch (error) {
      notify(error.message, "bad");
    }
  }

  async function load() {
    try {
      const { webhooks } = await get("stats");
      put(figures, webhooks ? tiles(["waiting", "dead", "delivered", "failed"].map((key) => [text[`callbacks_${key}`], number(webhooks[key])])) : el("p", { class: "card" }, text.callbacks_off));
      lists.hidden = !webhooks;
      if (webhooks) await Promise.all([dead.reload(), attempts.reload()]);
    } catch (error) {
      if (error.code !== "audience_denied") return put(figures, trouble(error)); // figures are of everybody
      lists.hidden = false;
      await Promise.all([dead.reload(), attempts.reload()]);
    }
  }

  const lists = el("div", { hidden: true },
    el("div", { class: "head" }, el("h2", {}, text.dead), may("admin") && el("button", { type: "button", onclick: () => confirm(text.replay_sure) && replay({ all: true }) }, text.replay_all)),
    el("p", { class: "hint" }, text.dead_hint), dead.view, el("h2", {}, text.attempts), el("p", { class: "hint" }, text.attempts_hint), attempts.view);
  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.callbacks), el("button", { type: "button", onclick: load }, text.reload)), figures, lists),
    ready: load,
  };
}
