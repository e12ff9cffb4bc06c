// A board of devices: who is online comes from Crier's callbacks to the web site, which pushes it here; a command goes from here
// to the site, which pushes it to one device or to the room of all, and answers with what they acknowledged.
import { $, clock, connect, element, text, uid } from "./tour.js";

const cards = new Map(); // by the device's uid
const socket = connect(uid("visitor"), "board", (devices) => devices.forEach(show));

socket.on("device", show);

// What is older than what is shown came late.
function show({ uid, online, since, version }) {
  const card = cards.get(uid) ?? add(uid);
  if (version < card.version) return;
  Object.assign(card, { version });
  card.box.dataset.online = online;
  card.button.disabled = !online;
  card.state.textContent = (online ? text.online : text.offline).replace("{time}", clock(since));
}

function add(uid) {
  const state = element("p", { className: "state" }), answer = element("p", { className: "answer" });
  const button = element("button", { type: "button", onclick: () => command(uid) }, text.to_one);
  const box = element("li", { id: uid }, element("h2", {}, element("i"), uid.replace("device-", "")), state, answer, button);
  const card = { box, state, answer, button, version: 0 };
  cards.set(uid, card);
  $("devices").append(box);
  [...cards].sort(([a], [b]) => (a < b ? -1 : 1)).forEach(([, one]) => $("devices").append(one.box));
  return card;
}

async function command(uid) {
  const answer = await socket.emitWithAck("board.command", { to: uid, command: $("command").value });
  if (answer.ok === false) {
    $("outcome").textContent = `${answer.code}: ${answer.error}`;
    return;
  }
  $("outcome").textContent = text.outcome.replace("{acked}", answer.answers.length).replace("{matched}", answer.matched);
  for (const { uid, said } of answer.answers) {
    const card = cards.get(uid);
    if (card) card.answer.textContent = said || text.done;
  }
}

$("command-form").addEventListener("submit", (submit) => {
  submit.preventDefault();
  command("");
});
