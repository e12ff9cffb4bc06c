// Rooms, and who is in one.

import { call, may, pathOf } from "./api.js";
import { el, number, notify, row, table, text, fill } from "./dom.js";
import { pagedList } from "./list.js";
import { userLink } from "./users.js";

export const roomLink = (room) => el("a", { href: `#/rooms/${encodeURIComponent(room)}`, class: "name" }, room);

export function roomsPage() {
  const list = pagedList({
    path: "rooms", search: text.search_rooms, empty: text.no_rooms, read: (answer) => answer.rooms,
    draw: (rooms) => table(text.rooms, [text.room, text.connections], rooms.map((one) => row(roomLink(one.room), number(one.connections)))),
  });
  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.rooms), el("button", { type: "button", onclick: () => list.reload() }, text.reload)),
      el("p", { class: "hint" }, text.rooms_hint), list.view),
    ready: () => list.reload(),
  };
}

export function roomPage(room) {
  const list = pagedList({
    path: pathOf("rooms", room), empty: text.room_empty, read: (answer) => answer.members,
    draw: (members) => table(text.room_members, [text.user, text.connection, ""], members.map((one) => row(
      one.uid ? userLink(one.uid) : el("span", { class: "hint" }, text.nobody_known),
      one.connection ? el("code", {}, one.connection) : el("span", { class: "hint" }, text.member_only),
      one.uid && !one.connection && may("admin") && el("button", { type: "button", class: "small", onclick: () => change("DELETE", one.uid) }, text.member_remove)))),
  });
  const uid = el("input", { autocomplete: "off", spellcheck: "false", required: true, "aria-label": text.member_add, placeholder: text.user });

  async function change(method, who) {
    try {
      const done = await call(method, pathOf("rooms", room, "users", who));
      notify(fill(method === "PUT" ? text.member_added : text.member_removed, { uid: who, n: number(done.connections) }));
      uid.value = "";
      await list.reload();
    } catch (error) {
      notify(error.message, "bad");
    }
  }

  return {
    view: el("div", { class: "page" },
      el("p", { class: "back" }, el("a", { href: "#/rooms" }, text.rooms)),
      el("div", { class: "head" }, el("h1", { class: "name" }, room),
        el("a", { class: "button", href: `#/push/room/${encodeURIComponent(room)}` }, text.push_here)),
      may("admin") && el("form", { class: "inline", onsubmit: (event) => {
        event.preventDefault();
        change("PUT", uid.value);
      } }, uid, el("button", { type: "submit" }, text.member_add)),
      list.view),
    ready: () => list.reload(),
  };
}
