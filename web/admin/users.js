// Who is online.

import { el, number, row, table, text } from "./dom.js";
import { pathOf } from "./api.js";
import { pagedList } from "./list.js";

export const userLink = (uid) => el("a", { href: `#/users/${encodeURIComponent(uid)}`, class: "name" }, uid);

export function usersPage() {
  const list = pagedList({
    path: "users", search: text.search_users, empty: text.no_users, read: (answer) => answer.users,
    draw: (users) => table(text.users, [text.user, text.connections], users.map((one) => row(userLink(one.uid), number(one.connections)))),
  });
  const exact = el("input", { name: "uid", autocomplete: "off", spellcheck: "false", "aria-label": text.open_user, placeholder: text.open_user });
  const open = el("form", { class: "inline", onsubmit: (event) => {
    event.preventDefault();
    if (exact.value) location.hash = `#/${pathOf("users", exact.value)}`;
  } }, exact, el("button", { type: "submit" }, text.open));
  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.users), el("button", { type: "button", onclick: () => list.reload() }, text.reload)),
      el("p", { class: "hint" }, text.users_hint), open, list.view),
    ready: () => list.reload(),
  };
}
