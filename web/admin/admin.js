// The dashboard: who is signed in, and which page is shown.

import { look, may, onEnd, signOut } from "./api.js";
import { callbacksPage } from "./callbacks.js";
import { el, notify, text, trouble } from "./dom.js";
import { messagesPage } from "./messages.js";
import { overviewPage } from "./overview.js";
import { pushPage } from "./push.js";
import { roomPage, roomsPage } from "./rooms.js";
import { schedulesPage } from "./schedules.js";
import { serversPage } from "./servers.js";
import { signInPage } from "./signin.js";
import { userPage } from "./user.js";
import { usersPage } from "./users.js";

const $ = (id) => document.getElementById(id);

// A page is made of the parts of the address behind its name, and is { view, ready?, leave? }: an element, what to do once it
// is shown, and what to do when another takes its place.
const pages = {
  "": { make: overviewPage, title: text.overview },
  users: { make: (uid) => (uid === undefined ? usersPage() : userPage(uid)), title: text.users },
  rooms: { make: (room) => (room === undefined ? roomsPage() : roomPage(room)), title: text.rooms },
  push: { make: pushPage, title: text.push },
  schedules: { make: schedulesPage, title: text.schedules },
  messages: { make: messagesPage, title: text.messages },
  callbacks: { make: callbacksPage, title: text.callbacks },
  servers: { make: serversPage, title: text.servers },
};

let shown = null;
let signedIn = false;
const title = document.title;

function show(page, name) {
  shown?.leave?.();
  shown = page;
  $("main").replaceChildren(page.view);
  document.title = name ? `${name} · ${title}` : title;
  page.ready?.();
}

function route(event) {
  if (!signedIn) return;
  if (location.hash === "#main") return; // the link for keyboards
  const [name = "", ...parts] = location.hash.replace(/^#\/?/, "").split("/");
  const page = pages[name] ?? pages[""];
  for (const link of $("nav").querySelectorAll("a")) {
    const here = link.hash.replace(/^#\/?/, "") === (pages[name] ? name : "");
    if (here) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
    if (here && event) link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  const language = new URL($("language").href);
  language.hash = location.hash;
  $("language").href = language.href;
  if (name !== "push" && !may("read") && !(name === "schedules" && may("push"))) {
    show({ view: el("p", { class: "card" }, text.no_read) }, page.title);
  } else {
    try {
      show(page.make(...parts.map(decodeURIComponent)), page.title);
    } catch (error) { // an address with a broken escape
      show({ view: trouble(error) }, page.title);
    }
  }
  if (!event) return;
  scrollTo(0, 0);
  const heading = $("main").querySelector("h1") ?? $("main");
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function enter(session) {
  signedIn = session.by !== "";
  $("nav").hidden = !signedIn;
  $("leave").hidden = session.by !== "key";
  if (signedIn) route();
  else show(signInPage(session, enter));
}

async function begin() {
  try {
    enter(await look());
  } catch (error) {
    show({ view: trouble(error) });
  }
}

onEnd(() => {
  if (!signedIn) return;
  notify(text.signed_out, "bad");
  begin();
});
$("leave").addEventListener("click", async () => {
  try {
    enter(await signOut());
  } catch (error) {
    notify(error.message, "bad");
  }
});
addEventListener("hashchange", route);
begin();
