// Makes vectors.json: what the official encoders put on the wire, and what the official decoder accepts.
//
// In an empty directory DIR outside the repository, with Node 18 or later:
//
//   npm init -y
//   npm install sio2@npm:socket.io-parser@2.3.1 sio33@npm:socket.io-parser@3.3.3 \
//               sio34@npm:socket.io-parser@3.4.3 sio4@npm:socket.io-parser@4.2.6
//
// then here:
//
//   node generate.mjs DIR > vectors.json
//
// socket.io-parser 2.3 is what the 1.7 clients use, 3.3 and 3.4 the 2.x clients, 4.2 the 4.x clients.
// encoded: {encoder, text (the wire), attachments (base64), packet: {type, nsp, id, attachments, data (JSON text)},
// canonical}; canonical says that our own encoder must make the same text.
// decided: {text, accepted}, by the 4.2 decoder with at most 10 attachments.
import { createRequire } from "node:module";
import path from "node:path";

if (!process.argv[2]) {
  throw new Error("usage: node generate.mjs DIR");
}
const require = createRequire(path.resolve(process.argv[2]) + "/");
const load = (alias) => ({
  parser: require(alias),
  version: require(path.resolve(process.argv[2], "node_modules", alias, "package.json")).version,
});
const parsers = ["sio2", "sio33", "sio34", "sio4"].map(load);

const [CONNECT, DISCONNECT, EVENT, ACK, ERROR, BINARY_EVENT, BINARY_ACK] = Array(7).keys();
const buffer = (...data) => Buffer.from(data);
const p0 = '{"_placeholder":true,"num":0}';
const p1 = '{"_placeholder":true,"num":1}';

// json is what the payload must be on the wire; 4: only encoded by 4.x.
const cases = [
  { type: CONNECT, nsp: "/" },
  { type: CONNECT, nsp: "/admin" },
  { type: CONNECT, nsp: "/admin?token=1234&uid=abcd" },
  { type: CONNECT, nsp: "/中文" },
  { type: CONNECT, nsp: "/", data: { token: "123" }, json: '{"token":"123"}', only: "4" },
  { type: CONNECT, nsp: "/admin", data: { uid: "中文é😀" }, json: '{"uid":"中文é😀"}', only: "4" },
  { type: DISCONNECT, nsp: "/" },
  { type: DISCONNECT, nsp: "/admin" },
  { type: EVENT, nsp: "/", data: ["hello", 1], json: '["hello",1]' },
  { type: EVENT, nsp: "/", id: 0, data: ["login", "7", "t"], json: '["login","7","t"]' },
  { type: EVENT, nsp: "/admin", id: 456, data: ["project:delete", 123], json: '["project:delete",123]' },
  { type: EVENT, nsp: "/", data: ["中文é😀", { 中: ["文", null, true, 1.5e300] }], json: '["中文é😀",{"中":["文",null,true,1.5e+300]}]' },
  { type: EVENT, nsp: "/a/b-c_d", data: ['say "hi"', "a\\b\n\t\u0001"], json: '["say \\"hi\\"","a\\\\b\\n\\t\\u0001"]' },
  { type: EVENT, nsp: "/", data: [1, [], {}], json: "[1,[],{}]" },
  { type: ACK, nsp: "/", id: 12, data: [], json: "[]" },
  { type: ACK, nsp: "/admin", id: 9007199254740991, data: ["ok", { 中: 1 }], json: '["ok",{"中":1}]' },
  { type: ERROR, nsp: "/admin", data: "Not authorized", json: '"Not authorized"' },
  { type: ERROR, nsp: "/admin", data: { message: "Not authorized" }, json: '{"message":"Not authorized"}' },
  { type: BINARY_EVENT, nsp: "/", data: ["hello", buffer(1, 2, 3)], json: `["hello",${p0}]`, attachments: [buffer(1, 2, 3)] },
  { type: BINARY_EVENT, nsp: "/admin", id: 456, data: ["project:delete", buffer(1, 2, 3)], json: `["project:delete",${p0}]`, attachments: [buffer(1, 2, 3)] },
  { type: BINARY_EVENT, nsp: "/", data: ["两个", { a: buffer(255), b: ["é", buffer(0, 128)] }], json: `["两个",{"a":${p0},"b":["é",${p1}]}]`, attachments: [buffer(255), buffer(0, 128)] },
  { type: BINARY_ACK, nsp: "/admin", id: 456, data: [buffer(3, 2, 1)], json: `[${p0}]`, attachments: [buffer(3, 2, 1)] },
];

async function encode(from, c) {
  const packet = { type: c.type, nsp: c.nsp };
  if (c.id !== undefined) packet.id = c.id;
  if (c.data !== undefined) packet.data = c.data;
  const encoder = new from.parser.Encoder();
  if (from.version.startsWith("4.")) {
    // 4.x finds out by itself that there are buffers.
    if (c.type === BINARY_EVENT) packet.type = EVENT;
    if (c.type === BINARY_ACK) packet.type = ACK;
    return encoder.encode(packet);
  }
  return new Promise((done) => encoder.encode(packet, done));
}

const encoded = [];
for (const from of parsers) {
  for (const c of cases) {
    if (c.only && !from.version.startsWith(c.only)) continue;
    const [text, ...attachments] = await encode(from, c);
    const want = c.attachments ?? [];
    if (attachments.length !== want.length || attachments.some((a, i) => Buffer.compare(a, want[i]))) {
      throw new Error("unexpected attachments: " + text);
    }
    encoded.push({
      encoder: `socket.io-parser ${from.version}`,
      text,
      attachments: attachments.map((a) => a.toString("base64")),
      packet: { type: c.type, nsp: c.nsp, id: c.id, attachments: want.length, data: c.json },
      // Older encoders leave out the comma when nothing follows the namespace.
      canonical: !(c.nsp !== "/" && text.endsWith(c.nsp)),
    });
  }
}

const questions = [
  "", "7", "a", " ", "-1", "0", "00", "01", "0{}", "0{", "0[]", "0null", "0\"a\"", "01{}", "0/", "0/,", "0/a", "0/a,", "0/a,{}",
  "0/a,[]", "0/a?b=1,", "0/a?b=1&c=2", "0a", "1", "1{}", "1[]", "1/a", "1/a,", "1/a,{}", "2", "2[]", "2{}", "2[1]", "2[-1]", "2[1.5e3]",
  "2[null]", "2[true]", "2[{}]", "2[[]]", '2["a"]', '2["a"', '2["a",]', '2["a"]x', '2["a"] ', '2 ["a"]', '2["a",1]1', '2[ "a" ]',
  "2['a']", '2[,"a"]', '212["a"]', '2012["a"]', '29007199254740992["a"]', '2-1["a"]', '21.5["a"]', '2/a["a"]',
  '2/a,["a"]', '2/a,5["a"]', '2//,["a"]', '2,["a"]', '2["connect"]', '2["connect_error"]', '2["disconnect"]', '2["disconnecting"]',
  '2["newListener"]', '2["removeListener"]', '2["\\u0063onnect"]', '2["connec\\u0074",1]', '2["connected"]', '2["error"]', '2[""]',
  '2["\\ud800"]', '2["\\x"]', "3", "31", "3[]", "31[]", '31["a"]', "31{}", "31null", "3/a,1[]", "4", '4"a"', "4{}", "4[]", "41", "4null",
  "5", "51", "5-", '5-["a"]', '51-["a"]', '50-["a"]', '510-["a"]', '511-["a"]', '501-["a"]', '5-1-["a"]', '51.5-["a"]', '5 1-["a"]', '51-/a,["a"]',
  '51-/a,7["a"]', '51-7["a"]', '51["a"]', '5a-["a"]', '5Infinity-["a"]', '50x1-["a"]', '51e0-["a"]', '51-["connect"]', "51-[]", "51-{}", "61-", "61-1[]",
  "61-1{}", "61-[]", "61-/a,1[]", '5999999999999999999999999-["a"]',
];
const four = parsers.at(-1).parser;
const decided = questions.map((text) => {
  try {
    new four.Decoder({ maxAttachments: 10 }).add(text);
    return { text, accepted: true };
  } catch {
    return { text, accepted: false };
  }
});

const lines = (list) => "[\n" + list.map((v) => JSON.stringify(v)).join(",\n") + "\n]";
process.stdout.write(`{"encoded":${lines(encoded)},\n"decided":${lines(decided)}}\n`);
