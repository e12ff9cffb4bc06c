// Socket.IO connections by the official clients, in Node and in a page alike: what driver.mjs and
// pages.mjs do with the commands they are given.
//
// Commands:
//   {"do":"open","id":"a","lib":"sioc-4","url":"http://…","options":{…},"watch":["new_msg"],"login":"uid"}
//   {"do":"emit","id":"a","event":"login","args":["uid"],"ack":7}
//   {"do":"close","id":"a"}
//   {"do":"forget"}      closes every connection
//
// With "login" the connection logs in on every connect, as a page does; "authLater" is given to the
// client as an auth function. A watched event that wants an acknowledgement gets its own arguments
// back. Binary is {"$binary":"<base64>"} in both directions. What happens is a line with "id", "on"
// (connect, upgrade, disconnect, refused, event, ack) and what belongs to it.

function toBase64(bytes) {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

// What a program of each kind sends: a Buffer in Node, an ArrayBuffer in a page.
function fromBase64(text) {
  if (globalThis.Buffer) return Buffer.from(text, "base64");
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
}

function toWire(value) {
  if (value instanceof ArrayBuffer) return { $binary: toBase64(new Uint8Array(value)) };
  if (ArrayBuffer.isView(value)) {
    return { $binary: toBase64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength)) };
  }
  return mapped(value, toWire);
}

function fromWire(value) {
  if (value && typeof value.$binary === "string") return fromBase64(value.$binary);
  return mapped(value, fromWire);
}

function mapped(value, change) {
  if (Array.isArray(value)) return value.map(change);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(one)]));
  }
  return value;
}

// commands returns the functions behind the commands. load returns the io function of a release by its
// name in package.json; print is given what happens.
export function commands(load, print) {
  const sockets = new Map();

  function emit(socket, id, event, args, ack) {
    const all = args.map(fromWire);
    if (ack) all.push((...answer) => print({ id, on: "ack", ack, args: answer.map(toWire) }));
    socket.emit(event, ...all);
  }

  function open({ id, lib, url, options, authLater, watch = [], login }) {
    const more = authLater && { auth: (give) => give(authLater) };
    const socket = load(lib)(url, { forceNew: true, ...options, ...more });
    const manager = socket.io;
    const tell = (line) => print({ id, ...line });
    sockets.set(id, socket);
    manager.on("open", () => {
      manager.engine.on("upgrade", (transport) => tell({ on: "upgrade", transport: transport.name }));
    });
    socket.on("connect", () => {
      const engine = manager.engine;
      tell({ on: "connect", sid: socket.id ?? engine.id, engine: engine.id, transport: engine.transport.name, recovered: socket.recovered });
      if (login !== undefined) emit(socket, id, "login", [login], "login");
    });
    socket.on("disconnect", (reason) => tell({ on: "disconnect", reason }));
    // The older clients tell of a failed connection by two events, the newer ones by one.
    for (const name of ["connect_error", "error"]) {
      socket.on(name, (error) => {
        const data = error instanceof Error ? error.data : error;
        tell({ on: "refused", reason: String(error?.message ?? error), args: data === undefined ? [] : [data] });
      });
    }
    for (const event of watch) {
      socket.on(event, (...args) => {
        const answer = typeof args[args.length - 1] === "function" ? args.pop() : undefined;
        tell({ on: "event", event, args: args.map(toWire) });
        answer?.(...args);
      });
    }
  }

  return {
    open,
    emit: ({ id, event, args, ack }) => emit(sockets.get(id), id, event, args ?? [], ack),
    close: ({ id }) => sockets.get(id).close(),
    forget() {
      const all = [...sockets.values()];
      sockets.clear();
      for (const socket of all) {
        socket.close();
        socket.io.reconnection(false); // of a client that is just waiting to try again
      }
    },
  };
}
