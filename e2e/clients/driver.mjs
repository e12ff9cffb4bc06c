// Opens Socket.IO connections with the official clients, as told on standard input,
// and prints one JSON line for everything that happens to them.
//
// Commands, one JSON object a line:
//   {"do":"open","id":"a","lib":"sioc-4","url":"http://…","options":{…},"watch":["new_msg"],"login":"uid"}
//   {"do":"emit","id":"a","event":"login","args":["uid"],"ack":7}
//   {"do":"close","id":"a"}
//
// With "login" the connection logs in on every connect, as a page does. A watched event that
// wants an acknowledgement gets its own arguments back. Binary is {"$binary":"<base64>"} in both
// directions. What is printed has "id", "on" (connect, upgrade, disconnect, refused, event, ack)
// and what belongs to it.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const sockets = new Map();

function print(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

function toWire(value) {
  if (value instanceof ArrayBuffer) return { $binary: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) {
    return { $binary: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  return mapped(value, toWire);
}

function fromWire(value) {
  if (value && typeof value.$binary === "string") return Buffer.from(value.$binary, "base64");
  return mapped(value, fromWire);
}

function mapped(value, change) {
  if (Array.isArray(value)) return value.map(change);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, change(one)]));
  }
  return value;
}

function emit(socket, id, event, args, ack) {
  const all = args.map(fromWire);
  if (ack) all.push((...answer) => print({ id, on: "ack", ack, args: answer.map(toWire) }));
  socket.emit(event, ...all);
}

function followEngine(socket, id) {
  const engine = socket.io.engine;
  engine.on("upgrade", (transport) => print({ id, on: "upgrade", transport: transport.name }));
}

function open({ id, lib, url, options, watch = [], login }) {
  const socket = require(lib)(url, { forceNew: true, ...options });
  sockets.set(id, socket);
  socket.io.on("open", () => followEngine(socket, id));
  socket.on("connect", () => {
    print({ id, on: "connect", sid: socket.id, transport: socket.io.engine.transport.name });
    if (login !== undefined) emit(socket, id, "login", [login], "login");
  });
  socket.on("disconnect", (reason) => print({ id, on: "disconnect", reason }));
  // The older clients tell of a failed connection by two events, the newer ones by one.
  for (const name of ["connect_error", "error"]) {
    socket.on(name, (error) => print({ id, on: "refused", reason: String(error?.message ?? error) }));
  }
  for (const event of watch) {
    socket.on(event, (...args) => {
      const answer = typeof args.at(-1) === "function" ? args.pop() : undefined;
      print({ id, on: "event", event, args: args.map(toWire) });
      answer?.(...args);
    });
  }
}

const commands = {
  open,
  emit: ({ id, event, args, ack }) => emit(sockets.get(id), id, event, args ?? [], ack),
  close: ({ id }) => sockets.get(id).close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
}
process.exit(0);
