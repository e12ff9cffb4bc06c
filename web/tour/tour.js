// What the pages have in common: the connection to Crier, whose state is in the corner, and small tools.

const config = JSON.parse(document.getElementById("config").textContent);

export const text = config.text;
export const $ = (id) => document.getElementById(id);
export const clock = (at) => new Date(at).toLocaleTimeString(document.documentElement.lang, { hour12: false });

// uid is who this tab is: somebody new for every tab, and the same after a reload.
export function uid(kind) {
  return (sessionStorage[kind] ??= `${kind}-${Math.random().toString(36).slice(2, 6)}`);
}

function show(state, more = "") {
  $("status").dataset.state = state;
  $("status").querySelector("span").textContent = text[state] + more;
}

// connect logs in as a user, and enters a room whenever it has connected: found gets what the web site has to say of it.
export function connect(uid, room, found) {
  const socket = io(config.crier, { auth: { uid } });
  socket.on("connect", async () => {
    show("connected", ` · ${uid}`);
    socket.emit("subscribe", room);
    const answer = await socket.emitWithAck(`${room}.enter`);
    if (answer.ok === false) show("refused", `: ${answer.error}`);
    else found(answer);
  });
  socket.on("disconnect", () => show("reconnecting"));
  socket.on("connect_error", (error) => show(socket.active ? "reconnecting" : "refused", socket.active ? "" : `: ${error.message}`));
  return socket;
}

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
