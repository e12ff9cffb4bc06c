// One user: connections, what waits for them, a kick and a test push.

import { call, get, may, pathOf } from "./api.js";
import { el, fill, notify, number, put, row, table, text, trouble } from "./dom.js";
import { pagedList } from "./list.js";
import { roomLink } from "./rooms.js";

const rooms = (names) => (names.length > 0 ? el("span", { class: "chips" }, names.map(roomLink)) : el("span", { class: "hint" }, text.none));

export function userPage(uid) {
  const body = el("div", { "aria-live": "polite" });
  const kick = el("button", { type: "button", class: "danger", onclick: disconnect }, text.kick);
  const words = el("input", { autocomplete: "off", value: text.test_words, "aria-label": text.test_push });

  async function load() {
    try {
      const user = await get(pathOf("users", uid));
      kick.disabled = !user.online;
      put(body,
        el("p", { class: "state", "data-state": user.online ? "live" : "lost" }, el("i", { "aria-hidden": "true" }),
          el("span", {}, user.online ? fill(text.online, { n: number(user.connections.length) }) : text.offline)),
        user.connections.length > 0 && table(text.connections, [text.connection, text.rooms],
          user.connections.map((one) => row(el("code", {}, one.id), rooms(one.rooms)))),
        el("h2", {}, text.memberships), el("p", { class: "hint" }, text.memberships_hint), el("p", {}, rooms(user.rooms)));
    } catch (error) {
      body.replaceChildren(trouble(error));
    }
  }

  async function disconnect() {
    if (!confirm(fill(text.kick_sure, { uid }))) return;
    try {
      const done = await call("DELETE", pathOf("users", uid));
      notify(fill(text.kicked, { n: number(done.disconnected) }));
      await load();
    } catch (error) {
      notify(error.message, "bad");
    }
  }

  async function test(event) {
    event.preventDefault();
    try {
      const done = await call("POST", "push", { to: { users: [uid] }, data: words.value });
      notify(fill(text.pushed, { n: number(done.matched.connections) }), done.matched.connections > 0 ? "good" : "bad");
    } catch (error) {
      notify(error.message, "bad");
    }
  }

  const waiting = pagedList({
    path: pathOf("users", uid, "messages"), size: 20, empty: text.inbox_empty, read: (answer) => answer.messages,
    draw: (messages) => table(text.inbox, [text.message, text.event, text.arguments], messages.map((one) => row(
      el("a", { href: `#/messages/${encodeURIComponent(one.id)}`, class: "name" }, one.id), el("code", {}, one.event),
      el("code", { class: "json" }, one.args.map((arg) => JSON.stringify(arg)).join(", "))))),
  });
  return {
    view: el("div", { class: "page" },
      el("p", { class: "back" }, el("a", { href: "#/users" }, text.users)),
      el("div", { class: "head" }, el("h1", { class: "name" }, uid), el("div", { class: "actions" },
        el("button", { type: "button", onclick: () => (load(), waiting.reload()) }, text.reload), may("admin") && kick)),
      body,
      may("push") && el("section", { class: "card" }, el("h2", {}, text.test_push), el("p", { class: "hint" }, text.test_hint),
        el("form", { class: "inline", onsubmit: test }, words, el("button", { type: "submit" }, text.push_send),
          el("a", { class: "button", href: `#/push/user/${encodeURIComponent(uid)}` }, text.push_more))),
      el("h2", {}, text.inbox), el("p", { class: "hint" }, text.inbox_hint), waiting.view),
    ready() {
      load();
      waiting.reload();
    },
  };
}
