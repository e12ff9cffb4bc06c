// Answers what the official parsers make of bytes. Each line of standard input is a question
// {decoder, inputs: [base64], data: [JSON text or null]}, each line of standard output its answer
// {parser: [verdict]}, a verdict for each input.
//
// decoder is "text3", "text4", "binary3", "binary4" (one frame), "payload-text3", "payload-binary3", "payload4"
// (the body of a request) or "packet" (Socket.IO). A verdict has error if the parser refuses the input. Otherwise
// those of Engine.IO have packets: [{type, binary, data (base64), lone}], where type is null if the parser let a
// packet without one through, and lone says that the text has surrogates on their own, in data U+FFFD. If the body
// had to be text and was not UTF-8, repaired is the text that the parser got (base64).
// Those of Socket.IO have type (as on the wire), nsp, id and attachments (as strings; no id: null), data (JSON
// text, null if none), same (whether data equals the JSON text of the question) and assembly, the error that
// came once all attachments were there.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { isDeepStrictEqual } from "node:util";

// The old parsers use what Node has deprecated since.
process.noDeprecation = true;

const require = createRequire(import.meta.url);
const version = (name) => require(`./node_modules/${name}/package.json`).version;

const one = require("engine.io-parser-1");
const two = require("engine.io-parser-2");
const five = require("engine.io-parser-5");
const three = require("./node_modules/engine.io/build/parser-v3/index.js");

const revision3 = {
  [`engine.io-parser ${version("engine.io-parser-1")}`]: one,
  [`engine.io-parser ${version("engine.io-parser-2")}`]: two,
  [`engine.io ${version("engine.io")} parser-v3`]: three,
};
const revision4 = { [`engine.io-parser ${version("engine.io-parser-5")}`]: five };
const socketio = Object.fromEntries(
  ["2.3", "3.3", "3.4", "4.2"].map((minor) => {
    const name = `socket.io-parser-${minor}`;
    return [`socket.io-parser ${version(name)}`, require(name)];
  }),
);

// As the servers do: WebSocket text and bodies that are not application/octet-stream become strings.
const frames = (binary) => (parser, bytes) => [parser.decodePacket(binary ? bytes : bytes.toString("utf8"))];
const payload3 = (binary) => (parser, bytes) => {
  const packets = [];
  parser.decodePayload(binary ? bytes : bytes.toString("utf8"), (packet) => {
    packets.push(packet);
  });
  return packets;
};
const payload4 = (parser, bytes) => parser.decodePayload(bytes.toString("utf8"));

const decoders = {
  text3: [revision3, frames(false)],
  text4: [revision4, frames(false)],
  binary3: [revision3, frames(true)],
  binary4: [revision4, frames(true)],
  "payload-text3": [revision3, payload3(false), true],
  "payload-binary3": [revision3, payload3(true)],
  payload4: [revision4, payload4, true],
};

function engineVerdict(parser, decode, isText, bytes) {
  let packets;
  try {
    packets = decode(parser, bytes);
  } catch (error) {
    return { error: String(error) };
  }
  if (packets.some((p) => p.type === "error")) {
    return { error: "parser error" };
  }
  const verdict = {
    packets: packets.map(({ type, data }) => {
      const binary = Buffer.isBuffer(data);
      return {
        type: type ?? null,
        binary,
        data: Buffer.from(data ?? "", "utf8").toString("base64"),
        lone: typeof data === "string" && !data.isWellFormed(),
      };
    }),
  };
  if (isText) {
    const repaired = Buffer.from(bytes.toString("utf8"), "utf8");
    if (!repaired.equals(bytes)) verdict.repaired = repaired.toString("base64");
  }
  return verdict;
}

function print(data) {
  try {
    return JSON.stringify(data);
  } catch {
    return "too deep to print";
  }
}

function socketVerdict(parser, bytes, ours) {
  const decoder = new parser.Decoder({ maxAttachments: 10 });
  let packet;
  decoder.on("decoded", (p) => (packet = p));
  try {
    decoder.add(bytes.toString("utf8"));
  } catch (error) {
    return { error: String(error) };
  }
  const waiting = decoder.reconstructor;
  packet ??= waiting.reconPack;
  if (packet.nsp === undefined) {
    return { error: String(packet.data) }; // how 2.x reports errors; every other packet has a namespace
  }
  const verdict = {
    // 4.x has changed the type by now.
    type: packet.type === 2 || packet.type === 3 ? packet.type + (waiting ? 3 : 0) : packet.type,
    nsp: packet.nsp,
    id: packet.id === undefined ? null : String(packet.id),
    attachments: String(packet.attachments ?? 0),
    data: packet.data === undefined ? null : print(packet.data),
    same: isDeepStrictEqual(packet.data, ours === null ? undefined : JSON.parse(ours)),
  };
  // More than 100 only 2.3 takes, which does not look at what it puts together.
  if (waiting && packet.attachments <= 100) {
    try {
      for (let i = packet.attachments; i > 0; i--) decoder.add(Buffer.from([i]));
    } catch (error) {
      verdict.assembly = String(error);
    }
  }
  return verdict;
}

function answer({ decoder, inputs, data }) {
  const bytes = inputs.map((b64) => Buffer.from(b64, "base64"));
  const of = (parsers, verdict) =>
    Object.fromEntries(Object.entries(parsers).map(([name, parser]) => [name, bytes.map((b, i) => verdict(parser, b, i))]));
  if (decoder === "packet") {
    return of(socketio, (parser, b, i) => socketVerdict(parser, b, data[i]));
  }
  const [parsers, decode, isText] = decoders[decoder];
  return of(parsers, (parser, b) => engineVerdict(parser, decode, isText, b));
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + "\n");
}
