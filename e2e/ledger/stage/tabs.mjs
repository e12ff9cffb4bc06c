// Many tabs of many users in one process, with the official clients: commands on standard input, a JSON object a line.
// What happens goes into the book named on the command line, one JSON line each, before anything else happens, and is printed only
// once it is on the disk:
//
//   {"do":"open","tab":"t","uid":"u","lib":"sioc-4","url":"http://…","transports":[…],"greet":true,"recovery":true,
//    "hear":true,"page":"p","drop":100}
//   {"do":"leave","tab":"t","how":"close" | "logout" | "fin" | "rst"}
//
//   {"at":ms,"tab":"t","uid":"u","on":"open"}    the tab begins to connect, and does so again whenever it is disconnected
//   … "login"               it is connected and asks to be logged in
//   … "in","trail":n        this connection is logged in, as the server has said; 1, it can be recovered; 2, it is the one before, recovered
//   … "proof","sent":ms     the server has answered this connection again, which it had therefore at some time since "sent"
//   … "out"                 this connection has ended
//   … "bye"                 the tab begins to leave
//   … "gone","clean":bool   it has no connection any more; clean: it had taken leave of the server, which had answered
//   … "wrong","text":"…"    the server has answered a login with something else than it should
//   … "wire","conn":n,"data":"…","id":"…"    a new_msg has come to the client, on the n-th connection of this tab
//   … "got","id":"…"                         crier.js has handed it on to the page, which knows it by what it says
//   … "stolen","data":"…","id":"…"           one has come that counts as lost
//
// With "greet" the uid travels with the connection, and there is no "login"; else it comes in an event. A tab that leaves by fin or rst does not say so: its
// TCP connections are destroyed. The line of an "open" is on the disk before the tab connects. With "recovery" a 4.x client asks for what it
// has missed when it comes back. With "hear" messages are noted, before the client handles the next packet, so before it can confirm
// them; with "page" they go through crier.js, too, and a tab of a page that there was before is that page, loaded again; with "drop" one id in
// so many is stolen, in whatever tab it comes.
import { createHash } from "node:crypto";
import { Agent } from "node:http";
import { fdatasync, openSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const require = createRequire(import.meta.url);
const PROOF_EVERY = 700; // ms
const LAST_PROOF = 300; // ms that a leaving tab waits for one
const LINGER = 1000; // ms that it gets for taking leave

// A book takes lines: they outlive this process at once, and the machine when they are printed. Those that come while the disk
// is busy are synced together.
class Book {
  constructor(path) {
    this.file = openSync(path, "ax");
    this.lines = [];
    this.waiting = [];
    this.busy = false;
  }

  // note files a line, prints it once it is on the disk, and then calls done.
  note(line, done) {
    const text = JSON.stringify({ at: Date.now(), ...line }) + "\n";
    if (writeSync(this.file, text) !== Buffer.byteLength(text)) throw new Error("the book was cut short");
    this.lines.push(text);
    if (done) this.waiting.push(done);
    if (!this.busy) this.flush();
  }

  flush() {
    const text = this.lines.join("");
    const waiting = this.waiting;
    this.lines = [];
    this.waiting = [];
    this.busy = true;
    fdatasync(this.file, (err) => {
      if (err) throw err;
      process.stdout.write(text);
      for (const done of waiting) done();
      this.busy = false;
      if (this.lines.length > 0) this.flush();
    });
  }
}

// A Wire is an agent that knows the TCP connections it has made.
class Wire extends Agent {
  constructor() {
    super({ keepAlive: true });
    this.all = new Set();
    this.cut = false;
  }

  createConnection(options, created) {
    if (this.cut) return void created(severed());
    const socket = super.createConnection(options, created);
    this.all.add(socket);
    socket.once("close", () => this.all.delete(socket));
    socket.on("error", () => {}); // the request that it is for hears of it, too
    return socket;
  }

  // idle says whether no connection waits for anything.
  idle() {
    const free = Object.values(this.freeSockets).reduce((n, list) => n + list.length, 0);
    return this.all.size === free;
  }

  // sever ends all connections as the end of the process would, and lets no new one come up.
  sever(reset) {
    this.cut = true;
    for (const socket of this.all) {
      if (reset) socket.resetAndDestroy();
      else socket.destroy();
    }
  }
}

// severed is not the error of a connection that the server has ended, after which the clients' XMLHttpRequest would try again
// at once, and for ever.
const severed = () => Object.assign(new Error("the tab is gone"), { code: "EGONE" });

// stolen says whether an id is one of those that are stolen: the same ones in every tab.
const stolen = (id, oneIn) => oneIn > 0 && createHash("sha1").update(id).digest().readUInt32BE() % oneIn === 0;

// helper returns what crier.js defines in a page. Its storage is there again when the page is loaded again.
const helper = (page) => {
  if (!storages.has(page)) storages.set(page, new Map());
  const storage = storages.get(page);
  const window = { sessionStorage: { getItem: (key) => storage.get(key) ?? null, setItem: (key, text) => storage.set(key, text) } };
  script(window);
  return window.crier;
};
const storages = new Map();
const script = new Function("window", readFileSync(new URL("../../../web/crier.js", import.meta.url), "utf8"));

class Tab {
  constructor(book, { tab, uid, lib, url, transports, greet, recovery, hear, page, drop }) {
    Object.assign(this, { book, tab, uid, greet, recovery, page, drop, wire: new Wire(), leaving: false, connections: 0 });
    const options = { forceNew: true, transports, agent: this.wire, timeout: 5000 };
    Object.assign(options, { reconnectionDelay: 100, reconnectionDelayMax: 400 });
    if (greet) Object.assign(options, { auth: { uid }, query: { uid } }); // 4.x take the one, 2.x the other
    if (recovery) options.auth = { ...options.auth, recovery: true };
    this.socket = require(lib)(url, options);
    this.socket.on("connect", () => this.connected());
    this.socket.on("disconnect", () => this.disconnected());
    if (hear) this.hear();
    for (const name of ["connect_error", "error"]) this.socket.on(name, () => {}); // it tries again by itself
  }

  note(on, more, done) {
    this.book.note({ tab: this.tab, uid: this.uid, on, ...more }, done);
  }

  // hear notes messages: on the wire as soon as the client's engine has them, whatever becomes of them then.
  hear() {
    this.socket.io.on("open", () => {
      const conn = ++this.connections;
      this.socket.io.engine.on("data", (packet) => {
        if (typeof packet !== "string" || !packet.startsWith('2["new_msg",')) return;
        const [, data, id] = JSON.parse(packet.slice(1));
        if (stolen(id, this.drop)) this.note("stolen", { data, id });
        else this.note("wire", { conn, data, id });
      });
    });
    if (!this.page) return;
    helper(this.page)(this.socket).on("new_msg", (id) => {
      if (!stolen(id, this.drop)) this.note("got", { id });
    });
  }

  connected() {
    if (this.leaving) return;
    this.connection = {};
    if (this.greet) return this.loggedIn();
    this.note("login");
    this.login(() => this.loggedIn());
  }

  loggedIn() {
    const recovers = this.recovery && this.socket.recovered !== undefined; // clients before 4.6 cannot
    this.note("in", recovers ? { trail: this.socket.recovered ? 2 : 1 } : {});
    if (this.leaving) return; // it is not to log in again behind its logout
    this.prove();
    this.timer = setInterval(() => this.prove(), PROOF_EVERY);
  }

  disconnected() {
    if (!this.connection) return;
    clearInterval(this.timer);
    this.connection = undefined;
    this.note("out");
  }

  // login sends the event and calls done when the server has answered it on the same connection.
  login(done) {
    const connection = this.connection;
    this.socket.emit("login", this.uid, (answer) => {
      if (connection !== this.connection) return;
      if (answer?.ok === true && answer.uid === this.uid) done();
      else this.note("wrong", { text: JSON.stringify(answer) ?? "nothing" });
    });
  }

  prove(done) {
    const sent = Date.now();
    this.login(() => {
      this.note("proof", { sent });
      done?.();
    });
  }

  leave(how) {
    if (this.leaving) return;
    this.leaving = true;
    clearInterval(this.timer);
    let begun = false;
    const begin = () => {
      if (begun) return;
      begun = true;
      this.note("bye");
      this.known = this.connection !== undefined; // else a session may be in the making, and gets no word
      this.depart(how);
    };
    setTimeout(begin, LAST_PROOF);
    if (this.connection) this.prove(begin);
    else begin();
  }

  depart(how) {
    switch (how) {
      case "logout":
        if (this.connection) this.socket.emit("logout", () => this.socket.disconnect());
        setTimeout(() => this.socket.disconnect(), LINGER / 2);
        return this.linger(LINGER);
      case "close":
        this.socket.disconnect();
        return this.linger(LINGER);
      default:
        this.socket.io.reconnection(false);
        this.wire.sever(how === "rst");
        this.socket.disconnect();
        return this.end(false);
    }
  }

  // linger waits until the leave is taken, at most so many milliseconds. Nothing under way does not mean that yet: between
  // two requests of a client that polls there is a moment of silence.
  linger(left, silent = 0) {
    const quiet = !this.socket.connected && this.wire.idle() ? silent + 1 : 0;
    if (quiet < 4 && left > 0) return setTimeout(() => this.linger(left - 10, quiet), 10);
    this.wire.sever(false);
    this.socket.disconnect();
    this.end(quiet > 0 && this.known);
  }

  end(clean) {
    this.connection = undefined;
    tabs.delete(this.tab);
    this.note("gone", { clean });
  }
}

const tabs = new Map();
const book = new Book(process.argv[2]);
const commands = {
  open: (command) => {
    const { tab, uid } = command;
    book.note({ tab, uid, on: "open" }, () => tabs.set(tab, new Tab(book, command)));
  },
  leave: ({ tab, how }) => tabs.get(tab).leave(how),
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  commands[command.do](command);
}
process.exit(0);
