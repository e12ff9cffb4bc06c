// Makes vectors.json: what the official encoders put on the wire.
//
// In an empty directory DIR outside the repository, with Node 18 or later:
//
//   npm init -y
//   npm install eio1@npm:engine.io-parser@1.3.2 eio2@npm:engine.io-parser@2.1.3 \
//               eio22@npm:engine.io-parser@2.2.1 eio5@npm:engine.io-parser@5.2.3
//
// then here:
//
//   node generate.mjs DIR > vectors.json
//
// engine.io-parser 1.3.2 is what the 1.x clients use, 2.1 and 2.2 the 2.x clients, 5.x the 3.x and 4.x clients.
// A vector is {encoder, kind: frame|payload, revision, binary, b64, text|base64 (the wire),
// packets: [{type, text|base64}], canonical}; canonical says that our own encoder must make the same bytes.
import { createRequire } from "node:module";
import path from "node:path";

if (!process.argv[2]) {
  throw new Error("usage: node generate.mjs DIR");
}
const require = createRequire(path.resolve(process.argv[2]) + "/");
const load = (alias, file) => ({
  parser: require(file ? path.resolve(process.argv[2], "node_modules", alias, file) : alias),
  version: require(path.resolve(process.argv[2], "node_modules", alias, "package.json")).version,
  browser: file === "lib/browser.js",
});

const revision3 = [
  load("eio1"),
  load("eio1", "lib/browser.js"),
  load("eio2"),
  load("eio22"),
  load("eio22", "lib/browser.js"),
];
const revision4 = [load("eio5")];

const loneSurrogate = "a\ud800b";
const text = (data, type = "message") => ({ type, data });
const bytes = (...data) => ({ type: "message", data: Buffer.from(data) });

const handshake =
  '{"sid":"lv_VI97HAXpY6yYWAAAC","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":5000}';
const texts = [
  text("hello"),
  text(undefined),
  text("€"),
  text("中文é😀"),
  text("naïve café ÿ"),
  text(loneSurrogate),
  text('2["new_msg","中文é😀\\n"]'),
  text(undefined, "close"),
  text(undefined, "ping"),
  text("probe", "ping"),
  text("probe", "pong"),
  text(undefined, "upgrade"),
  text(undefined, "noop"),
  text(handshake, "open"),
];
const binaries = [
  bytes(1, 2, 3, 4),
  bytes(0xff),
  bytes(0xfb, 0xef, 0xbe, 0xff),
  bytes(...Array(256).keys()),
];
const payloads = [
  ...texts.map((p) => [p]),
  ...binaries.map((p) => [p]),
  [text("hello"), text("€")],
  [text("€"), bytes(1, 2, 3, 4)],
  [bytes(0), text("中文é😀"), bytes(9, 8, 7, 6, 5, 4, 3, 2, 1, 0), text("ping: 3:4no")],
  [text(handshake, "open"), text("0")],
  [text("probe", "ping"), text("x".repeat(130)), text("中文é😀".repeat(20)), text(undefined, "noop")],
  [text('51-["file",{"_placeholder":true,"num":0}]'), bytes(0xde, 0xad, 0xbe, 0xef)],
  [text("line\nline\u2028\u00a0 \\ \" 1:2")],
];

const vectors = [];
const isBytes = (wire) => typeof wire !== "string";
const nonASCII = (p) => typeof p.data === "string" && /[^\x00-\x7f]/.test(p.data);

const expected = (p) =>
  Buffer.isBuffer(p.data)
    ? { type: p.type, base64: p.data.toString("base64") }
    : { type: p.type, text: (p.data ?? "").replace(loneSurrogate, "a\ufffdb") };

async function add(from, kind, revision, b64, packets, wire) {
  if (typeof Blob === "function" && wire instanceof Blob) {
    wire = await wire.arrayBuffer();
  }
  const first = from.version.startsWith("1.");
  const canonical = !(
    first && kind === "payload" &&
    packets.some((p) => nonASCII(p) && (!isBytes(wire) || p.data === loneSurrogate))
  );
  vectors.push({
    encoder: `engine.io-parser ${from.version}${from.browser ? " browser" : ""}`,
    kind,
    revision,
    binary: isBytes(wire),
    b64,
    // What XMLHttpRequest, WebSocket and Node make of a string: UTF-8.
    ...(isBytes(wire)
      ? { base64: Buffer.from(wire).toString("base64") }
      : { text: Buffer.from(wire, "utf8").toString("utf8") }),
    packets: packets.map(expected),
    canonical,
  });
}

// The encoders change the packets they are given, and browsers have ArrayBuffers, not Buffers.
const copy = (from, p) =>
  from.browser && Buffer.isBuffer(p.data)
    ? { type: p.type, data: new Uint8Array(p.data).buffer }
    : { ...p };
const encodeFrame = (from, p, binary) =>
  new Promise((done) =>
    from.version.startsWith("5.")
      ? from.parser.encodePacket(copy(from, p), binary, done)
      : from.parser.encodePacket(copy(from, p), binary, false, done),
  );
const encodePayload = (from, list, binary) =>
  new Promise((done) =>
    from.version.startsWith("5.")
      ? from.parser.encodePayload(list.map((p) => copy(from, p)), done)
      : from.parser.encodePayload(list.map((p) => copy(from, p)), binary, done),
  );

for (const [revision, parsers] of [[3, revision3], [4, revision4]]) {
  for (const from of parsers) {
    for (const p of texts) {
      await add(from, "frame", revision, false, [p], await encodeFrame(from, p, true));
    }
    for (const p of binaries) {
      await add(from, "frame", revision, false, [p], await encodeFrame(from, p, true));
      await add(from, "frame", revision, true, [p], await encodeFrame(from, p, false));
    }
    for (const list of payloads) {
      await add(from, "payload", revision, true, list, await encodePayload(from, list, false));
      if (revision === 3) {
        await add(from, "payload", revision, false, list, await encodePayload(from, list, true));
      }
    }
    if (revision === 3) {
      await add(from, "payload", revision, true, [], await encodePayload(from, [], false));
      vectors.at(-1).canonical = false; // we never send an empty payload
    }
  }
}

process.stdout.write("[\n" + vectors.map((v) => JSON.stringify(v)).join(",\n") + "\n]\n");
