// Tries crier.js, whose path is the argument, on sockets that are none. It prints "fine" in the end.
import { EventEmitter } from "node:events";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";
import vm from "node:vm";

const path = process.argv[2];
const code = readFileSync(path, "utf8");

// What a page has of the script.
function load(window) {
  vm.runInContext(code, vm.createContext({ window, setTimeout, JSON }));
  return window.crier;
}
const crier = load({});

// What a client hands over: the arguments, and a function if an acknowledgement is wanted.
function page(socket = new EventEmitter()) {
  const got = [];
  crier(socket).on("new_msg", (...args) => got.push(args));
  return { socket, got, emit: (...args) => socket.emit("new_msg", ...args) };
}

{ // each id once, whatever else is in the message
  const { got, emit } = page();
  emit("a", "id-1");
  emit("a", "id-2");
  emit("a", "id-1");
  emit("id-1"); // an event without arguments of its own
  emit({ deep: [1] }, 2, "id-3");
  assert.deepEqual(got, [["a"], ["a"], [{ deep: [1] }, 2]]);
}

{ // names that every object has are ids as any other
  const { got, emit } = page();
  for (const id of ["constructor", "__proto__", "hasOwnProperty", "__proto__", ""]) emit(1, id);
  assert.equal(got.length, 4);
}

{ // an offset of connection state recovery is behind the id
  const { socket, got, emit } = page();
  socket._pid = "pid";
  emit("a", "id-1", "epoch-7");
  emit("a", "id-1", "epoch-9");
  assert.deepEqual(got, [["a"]]);
}

{ // an acknowledgement is passed on, and given for what was handled before
  const { socket, got, emit } = page();
  let acknowledged = 0;
  crier(socket).on("new_msg", (text, ack) => ack());
  const ack = () => acknowledged++;
  emit("a", "id-1", ack);
  emit("a", "id-1", ack);
  assert.deepEqual([got.length, got[0][1], acknowledged], [1, ack, 2]);
}

{ // several handlers of one event, and several events
  const { socket, got, emit } = page();
  const more = [];
  crier(socket).on("new_msg", (text) => more.push(text)).on("order", (text) => more.push(text));
  emit("a", "id-1");
  emit("a", "id-1");
  socket.emit("order", "b", "id-2");
  socket.emit("order", "b", "id-2");
  assert.deepEqual([got, more], [[["a"]], ["a", "b"]]);
  assert.equal(crier(socket), crier(socket));
}

{ // a handler that fails has not handled it
  const socket = new EventEmitter();
  const got = [];
  crier(socket).on("new_msg", (text) => {
    got.push(text);
    if (got.length === 1) throw new Error("once");
  });
  assert.throws(() => socket.emit("new_msg", "a", "id-1"), /once/);
  socket.emit("new_msg", "a", "id-1");
  socket.emit("new_msg", "a", "id-1");
  assert.equal(got.length, 2);
}

{ // the memory is bounded
  const { got, emit } = page();
  for (let n = 0; n <= 1000; n++) emit(n, `id-${n}`);
  emit(0, "id-0"); // forgotten
  emit(2, "id-2"); // not yet
  assert.equal(got.length, 1002);
}

// A page: what it has seen outlives it, by the name that it gives its socket. ES5 alone, as old browsers have.
const kept = new Map();
const sessionStorage = { getItem: (key) => kept.get(key) ?? null, setItem: (key, text) => kept.set(key, text) };
async function reload(window, ids, name) {
  const got = [];
  const socket = new EventEmitter();
  load(window)(socket, name).on("new_msg", (text) => got.push(text));
  for (const id of ids) socket.emit("new_msg", id, id);
  await new Promise((done) => setTimeout(done, 5));
  return got;
}
assert.deepEqual(await reload({ sessionStorage }, ["1", "2", "2"]), ["1", "2"]);
assert.deepEqual(await reload({ sessionStorage }, ["1", "2", "3"]), ["3"]);
assert.deepEqual(await reload({ sessionStorage }, ["1"], "other"), ["1"]);

{ // a page that is left before the timer has fired
  let leave;
  const window = { sessionStorage, onpagehide: null, addEventListener: (name, fn) => assert.equal(name, "pagehide") ?? (leave = fn) };
  const socket = new EventEmitter();
  load(window)(socket).on("new_msg", () => {});
  socket.emit("new_msg", "4", "4");
  leave();
  assert.deepEqual(JSON.parse(kept.get("crier ")).at(-1), "4");
}

kept.set("crier ", "{not JSON");
assert.deepEqual(await reload({ sessionStorage }, ["1"]), ["1"]);
const refusing = { get sessionStorage() { throw new Error("SecurityError"); } };
assert.deepEqual(await reload(refusing, ["1", "1"]), ["1"]);

console.log("fine");
