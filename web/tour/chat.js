// A chat room. What a visitor says goes to the web site's own API as an event of the browser (forward.events), which
// decides what becomes of it, and pushes to the room.
import { $, clock, connect, element, text, uid } from "./tour.js";

const asked = new URLSearchParams(location.search).get("name");
const me = asked?.trim() || uid("guest");
const here = new Set();
const socket = connect(me, "chat", ({ history, members }) => {
  here.clear();
  members.forEach((name) => here.add(name));
  showHere();
  $("talk").replaceChildren();
  history.forEach(showMessage);
});

$("name").value = me;

socket.on("chat.said", showMessage);

socket.on("presence", ({ room, uid, event }) => {
  if (room !== "chat") return;
  if (event === "join") here.add(uid);
  else here.delete(uid);
  showHere();
  show(element("li", { className: "note" }, (event === "join" ? text.came : text.went).replace("{name}", uid)));
});

$("say-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  const said = $("say").value.trim();
  if (!said) return;
  $("say").value = "";
  socket.emit("chat.say", said, (answer) => {
    if (answer.ok === false) show(element("li", { className: "note" }, `${answer.code}: ${answer.error}`));
  });
});

function showHere() {
  $("here").replaceChildren(...[...here].sort().map((name) => element("li", { className: name === me ? "mine" : "" }, name)));
}

function showMessage({ from, said, at }) {
  show(element("li", { className: from === me ? "mine" : "" },
    element("span", { className: "who" }, from, " ", element("time", { dateTime: at }, clock(at))),
    element("p", {}, said)));
}

function show(line) {
  $("talk").append(line);
  $("talk").scrollTop = $("talk").scrollHeight;
}
