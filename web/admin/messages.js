// What became of a message, and what is stored.

import { get, pathOf } from "./api.js";
import { bytes, el, facts, number, put, row, table, text, tiles, time, trouble } from "./dom.js";
import { pagedList } from "./list.js";
import { userLink } from "./users.js";

const states = { waiting: text.state_waiting, confirmed: text.state_confirmed, expired: text.state_expired, evicted: text.state_evicted };

export function messagesPage(id) {
  const input = el("input", { value: id ?? "", autocomplete: "off", spellcheck: "false", required: true, "aria-label": text.message_id, placeholder: text.message_id });
  const uid = el("input", { autocomplete: "off", spellcheck: "false", required: true, "aria-label": text.user, placeholder: text.user });
  const found = el("div", { "aria-live": "polite" });
  const figures = el("div", {});
  const go = (part, value) => (event) => {
    event.preventDefault();
    location.hash = `#/${pathOf(part, value.value.trim())}`;
  };

  async function load() {
    try {
      const { inbox } = await get("stats");
      put(figures, inbox ? tiles(["messages", "waiting", "bytes", "confirmed", "expired", "evicted"].map((key) =>
        [text[`inbox_${key}`], key === "bytes" ? bytes(inbox[key]) : number(inbox[key])])) : el("p", { class: "hint" }, text.inbox_off));
    } catch (error) {
      put(figures, error.code === "audience_denied" ? null : trouble(error));
    }
    if (id === undefined) return;
    try {
      put(found, receipt(await get(pathOf("messages", id))));
    } catch (error) {
      put(found, trouble(error));
    }
  }

  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.messages)),
      el("section", { class: "card" }, el("h2", {}, text.receipt), el("p", { class: "hint" }, text.receipt_hint),
        el("form", { class: "inline", onsubmit: go("messages", input) }, input, el("button", { type: "submit" }, text.open)), found),
      el("section", { class: "card" }, el("h2", {}, text.inbox), el("p", { class: "hint" }, text.inbox_of_hint),
        el("form", { class: "inline", onsubmit: go("users", uid) }, uid, el("button", { type: "submit" }, text.open)), figures)),
    ready: load,
  };
}

// receipt shows one, with the users it was stored for.
function receipt(one) {
  const counts = [
    [text.matched, `${number(one.matched.users)} / ${number(one.matched.connections)}`], [text.delivered, number(one.delivered)],
    one.acked && [text.acked, `${number(one.acked.users)} / ${number(one.acked.connections)}`], [text.stored, number(one.stored)],
    ...(one.stored > 0 ? Object.entries(states).map(([key, words]) => [words, number(one[key])]) : []),
  ].filter(Boolean);
  const users = one.stored > 0 && pagedList({
    path: `${pathOf("messages", one.id)}?users=true`, empty: text.no_users, read: (answer) => answer.users ?? [],
    draw: (list) => table(text.receipt, [text.user, text.state], list.map((user) => row(userLink(user.uid), states[user.state] ?? user.state))),
  });
  users?.reload?.();
  return el("div", {}, el("h3", { class: "name" }, one.id), el("p", { class: "hint" }, time(one.time), one.expires && [" – ", time(one.expires)]),
    facts(counts), users && users.view);
}
