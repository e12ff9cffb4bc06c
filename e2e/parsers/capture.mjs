// Records what the official clients send, as testdata of the decoders. From this folder, after npm ci:
//
//   node capture.mjs [--chromium PATH]
//
// writes ../../io/engineio/testdata/captured.json and ../../io/socketio/testdata/captured.json. Each client plays
// the scenario below against Node's socket.io, through a proxy that writes down bodies and frames: in Node, and in
// a browser if PATH names Chromium; over WebSocket, over polling, and upgrading from one to the other.
//
// Both are lists of {clients, messages}, where all those clients, each on its route, sent the same messages. In the first
// file these are {kind: frame|payload, revision, binary, text|base64 (the wire), packets: [{type, text|base64}]}, decoded
// by the official parsers of the client's time. In the second they are the Socket.IO packets in them: {text,
// attachments (base64), packet: {type, nsp, id, attachments, data (JSON text)}}.
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

process.noDeprecation = true;
const require = createRequire(import.meta.url);
const { chromium } = parseArgs({ options: { chromium: { type: "string" } } }).values;

const clients = [
  { minor: "1.4", bundle: "socket.io.js", engine: "1", parser: "2.3", revision: 3 },
  { minor: "2.0", bundle: "dist/socket.io.js", engine: "2", parser: "3.3", revision: 3 },
  { minor: "2.5", bundle: "dist/socket.io.js", engine: "2", parser: "3.4", revision: 3 },
  { minor: "3.1", bundle: "dist/socket.io.js", engine: "5", parser: "4.2", revision: 4 },
  { minor: "4.8", bundle: "dist/socket.io.js", engine: "5", parser: "4.2", revision: 4 },
].map((c) => ({ ...c, name: `socket.io-client-${c.minor}`, version: require(`./node_modules/socket.io-client-${c.minor}/package.json`).version }));
const routes = { websocket: ["websocket"], polling: ["polling"], upgrade: ["polling", "websocket"] };

// What a client does; it runs in browsers too, the oldest bundle included.
function scenario(io, url, transports, buffer) {
  var socket = io(url, { transports: transports, forceNew: true, reconnection: false });
  socket.on("connect", function () {
    var engine = socket.io.engine;
    if (engine.transport.name === transports[transports.length - 1]) login();
    else engine.on("upgrade", login);
  });
  function login() {
    socket.emit("login", "中文é😀", function () {
      var admin = socket.io.socket("/admin", { query: { token: "é" }, auth: { token: "é" } });
      admin.on("connect", function () {
        admin.emit("hello", 1.5, null, { "naïve": ["\u2028", "\"\\"] });
      });
    });
  }
  socket.on("go on", function () {
    socket.emit("file", { name: "é.bin", data: buffer([0, 1, 254, 255]) }, buffer([0xde, 0xad, 0xbe, 0xef]));
  });
  socket.on("question", function (kind, answer) {
    if (kind === "text") answer("答é😀", 7);
    else answer(buffer([0xe4, 0xb8, 0xad]));
  });
  socket.on("done", function () {
    socket.disconnect();
  });
}

// What the server does; ended is called when it has seen everything.
function serve(ended) {
  const http = createServer(async (req, res) => {
    const { pathname, searchParams: q } = new URL(req.url, "http://localhost");
    if (pathname === "/bundle.js") {
      const { name, bundle } = clients.find((c) => c.minor === q.get("minor"));
      return res.setHeader("content-type", "text/javascript").end(await readFile(path.join("node_modules", name, bundle)));
    }
    const buffer = "function (list) { return new Uint8Array(list).buffer; }";
    res.setHeader("content-type", "text/html; charset=utf-8").end(
      `<script src="/bundle.js?minor=${q.get("minor")}"></script>
       <script>(${scenario})(io, location.origin, ${JSON.stringify(routes[q.get("route")])}, ${buffer})</script>`,
    );
  });
  const io = new Server(http, { allowEIO3: true, pingInterval: 300, pingTimeout: 20000 });
  io.on("connection", (socket) => {
    const heartbeat = new Promise((done) => socket.conn.once("heartbeat", done));
    socket.on("login", (_, ack) => ack({ ok: true })); // 1.x would end over the uid in once encoded UTF-8
    socket.on("file", () => {
      socket.emit("question", "text", () =>
        socket.emit("question", "bytes", async () => {
          await heartbeat;
          socket.emit("done");
        }),
      );
    });
    socket.on("disconnect", ended);
  });
  io.of("/admin").on("connection", (socket) => {
    socket.on("hello", () => io.emit("go on"));
  });
  return new Promise((done) => http.listen(0, "127.0.0.1", () => done({ port: http.address().port, close: () => io.close() })));
}

// Forwards to the port and records what clients send.
function proxy(port, record) {
  const server = createServer((req, res) => {
    const body = [];
    const forward = request({ port, path: req.url, method: req.method, headers: req.headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers);
      answer.pipe(res);
    }).on("error", () => res.destroy());
    req.on("data", (chunk) => body.push(chunk));
    req.on("end", () => {
      if (req.method === "POST") {
        record("payload", req.headers["content-type"] === "application/octet-stream", Buffer.concat(body));
      }
      forward.end(Buffer.concat(body));
    });
  });
  server.on("upgrade", (req, socket, head) => {
    const backend = connect(port, () => {
      const headers = req.rawHeaders.map((h, i) => (i % 2 ? h + "\r\n" : h + ": ")).join("");
      backend.write(`${req.method} ${req.url} HTTP/1.1\r\n${headers}\r\n`);
      backend.write(head);
      backend.pipe(socket);
      socket.pipe(backend);
    });
    let pending = head;
    socket.on("data", (chunk) => (pending = frames(Buffer.concat([pending, chunk]), record)));
    for (const [one, other] of [[socket, backend], [backend, socket]]) {
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  return new Promise((done) =>
    server.listen(0, "127.0.0.1", () => done({ url: `http://127.0.0.1:${server.address().port}`, close: () => server.closeAllConnections() ?? server.close() })),
  );
}

// Records the whole frames of a client that b begins with, and returns the rest (RFC 6455, section 5.2).
function frames(b, record) {
  for (;;) {
    if (b.length < 6) return b;
    let [length, at] = [b[1] & 0x7f, 2];
    if (length === 126 && b.length >= 8) [length, at] = [b.readUInt16BE(2), 4];
    if (length >= 126 && at === 2) throw new Error("a long frame: the scenario sends none");
    if (b.length < at + 4 + length) return b;
    const payload = b.subarray(at + 4, at + 4 + length).map((c, i) => c ^ b[at + (i % 4)]);
    const opcode = b[0] & 0x0f;
    if ((b[0] & 0xf0) !== 0x80 || !(b[1] & 0x80)) throw new Error("a fragmented, compressed or unmasked frame");
    if (opcode === 1 || opcode === 2) record("frame", opcode === 2, Buffer.from(payload));
    b = b.subarray(at + 4 + length);
  }
}

async function play(client, route, where) {
  const messages = [];
  const end = new Promise((done, fail) => {
    setTimeout(() => fail(new Error("no end after 30 s")), 30_000).unref();
    serve(done).then(async (server) => {
      const front = await proxy(server.port, (...m) => messages.push(m));
      stops.push(front.close, server.close);
      if (where === "Node") {
        const io = require(`./node_modules/${client.name}`);
        scenario(io.io ?? io, front.url, routes[route], (list) => Buffer.from(list));
      } else {
        await browse(`${front.url}/?minor=${client.minor}&route=${route}`);
      }
    }, fail);
  });
  try {
    await end;
    // The last packets come behind the one that ends the scenario.
    await new Promise((done) => setTimeout(done, 300));
  } finally {
    for (const stop of stops.splice(0)) await stop();
  }
  return messages;
}
const stops = [];

async function browse(url) {
  const profile = await mkdtemp(path.join(tmpdir(), "capture-"));
  const browser = spawn(chromium, ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${profile}`, "--remote-debugging-port=0", url], { stdio: "ignore" });
  const gone = new Promise((done) => browser.once("exit", done));
  stops.push(async () => {
    browser.kill();
    await gone;
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  });
}

function decode(client, kind, binary, wire) {
  const parser = require(`engine.io-parser-${client.engine}`);
  const input = binary ? wire : wire.toString("utf8");
  let packets = [];
  if (kind === "frame") packets = [parser.decodePacket(input)];
  else if (client.revision === 4) packets = parser.decodePayload(input);
  else parser.decodePayload(input, (p) => void packets.push(p));
  return packets.map(({ type, data }) => {
    if (!type || type === "error") throw new Error(`the parser refuses ${JSON.stringify(input)}`);
    return Buffer.isBuffer(data) ? { type, base64: data.toString("base64") } : { type, text: data ?? "" };
  });
}

function reassemble(client, packets) {
  const { Decoder } = require(`socket.io-parser-${client.parser}`);
  const list = [];
  for (const { type, text, base64 } of packets) {
    if (type !== "message") continue;
    if (base64 !== undefined) {
      list.at(-1).attachments.push(base64);
      continue;
    }
    const decoder = new Decoder();
    let packet;
    decoder.on("decoded", (p) => (packet = p));
    decoder.add(text);
    packet ??= decoder.reconstructor.reconPack;
    list.push({
      text,
      attachments: [],
      packet: {
        type: Number(text[0]),
        nsp: packet.nsp,
        id: packet.id,
        attachments: packet.attachments ?? 0,
        data: packet.data === undefined ? undefined : JSON.stringify(packet.data),
      },
    });
  }
  if (list.some((p) => p.attachments.length !== p.packet.attachments)) throw new Error("attachments are missing");
  return list;
}

const engine = new Map();
const socket = new Map();
const invisible = /[\x7f-\xa0\xad\u2028\u2029]/g;
const escape = (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0");
const add = (map, client, messages) => {
  const lines = messages.map((m) => JSON.stringify(m).replace(invisible, escape)).join(",\n");
  map.set(lines, [...(map.get(lines) ?? []), client]);
};
for (const where of chromium ? ["Node", "Chromium"] : ["Node"]) {
  for (const client of clients) {
    for (const route of Object.keys(routes)) {
      const name = `socket.io-client ${client.version} in ${where}, ${route}`;
      process.stderr.write(name + "\n");
      const messages = (await play(client, route, where)).map(([kind, binary, wire]) => {
        const text = wire.toString("utf8");
        const bytes = binary || !Buffer.from(text, "utf8").equals(wire) ? { base64: wire.toString("base64") } : { text };
        return { kind, revision: client.revision, binary, ...bytes, packets: decode(client, kind, binary, wire) };
      });
      add(engine, name, messages);
      add(socket, name, reassemble(client, messages.flatMap((m) => m.packets)));
    }
  }
}
for (const [folder, map] of [["engineio", engine], ["socketio", socket]]) {
  const groups = [...map].map(([lines, clients]) => `{"clients":${JSON.stringify(clients)},\n"messages":[\n${lines}\n]}`);
  await writeFile(`../../io/${folder}/testdata/captured.json`, `[\n${groups.join(",\n")}\n]\n`);
}
process.exit(); // the oldest clients leave timers behind
