// The demo page: ties its parts together.

import { Connection } from "./connection.js";
import { fillCommands } from "./command.js";
import { Identity } from "./identity.js";
import { Inbox } from "./inbox.js";
import { Trouble } from "./trouble.js";

const config = JSON.parse(document.getElementById("config").textContent);
const $ = (id) => document.getElementById(id);

const inbox = new Inbox(config.text);
const trouble = new Trouble($("trouble"), config);
const identity = new Identity(config.text);
const connection = new Connection(config);
const transports = { websocket: config.text.websocket, polling: config.text.polling, webtransport: config.text.webtransport };

function showStatus(state, transport) {
  if (state !== "connected") showCounts(null); // what was counted before is not known any more
  const words = [config.text[state]];
  if (transport) words.push(transports[transport] ?? transport);
  $("status").dataset.state = state;
  $("status").querySelector("span").textContent = words.join(" · ");
}

function showIdentity(uid) {
  fillCommands(config, uid);
  const url = new URL(location.href);
  const keep = url.searchParams.get("lang");
  $("second").href = keep ? `/?lang=${encodeURIComponent(keep)}` : "/";
}

// update_online_count is a string with the two numbers in <b>, or an object.
function showCounts(stat) {
  const [users, pages] = stat && typeof stat === "object"
    ? [stat.users, stat.connections]
    : String(stat).replace(/<[^>]*>/g, "").match(/\d+/g) ?? [];
  const print = (n) => (Number.isFinite(Number(n ?? NaN)) ? Number(n).toLocaleString() : "–");
  $("users").textContent = print(users);
  $("pages").textContent = print(pages);
}

connection.on({
  state: showStatus,
  event: (name, args) => (name === "update_online_count" ? showCounts(args[0]) : inbox.receive(name, args)),
  trouble: (kind, detail) => trouble.show(kind, detail),
  fine: () => trouble.hide(),
});
identity.onChange = (uid) => {
  showIdentity(uid);
  connection.become(uid, identity.token);
};
trouble.onReconnect = () => connection.reconnect();

showIdentity(identity.uid);
showStatus("connecting");
connection.start(identity.uid, identity.token);
