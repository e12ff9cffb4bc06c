// Makes jsonp.json: what the official clients post by JSONP, from a page in Chromium.
//
// In an empty directory DIR outside the repository, with Node 20 or later:
//
//   npm init -y
//   npm install playwright-core c1.0.6@npm:socket.io-client@1.0.6 c1.4.8@npm:socket.io-client@1.4.8 \
//               c1.7.4@npm:socket.io-client@1.7.4 c2.0.3@npm:socket.io-client@2.0.3 \
//               c2.5.0@npm:socket.io-client@2.5.0 c3.1.3@npm:socket.io-client@3.1.3 \
//               c4.2.0@npm:socket.io-client@4.2.0
//
// (1.0.6 does not install everywhere: unpack what npm pack socket.io-client@1.0.6 gives as
// node_modules/c1.0.6.) Then here, with the browser's path:
//
//   node capture.mjs DIR /usr/bin/chromium > jsonp.json
//
// A vector is {client, name, query: as the client says it, body: the POST's, want: the messages, as text or hex}.
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const [dir, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(resolve(dir, "index.js"))("playwright-core");

const texts = {
  "every width": "中文é😀",
  "line break": "a\nb",
  "backslash and n": "a\\nb",
  "backslash and line break": "a\\\nb",
  "two backslashes and n": "a\\\\nb",
  "CR, LF and tab": "a\r\nb\tc",
  markup: "</script><!--<script>-->",
  "line separators": "\u2028\u2029",
  "form syntax": "\"'&+%=;#?%41 x",
  "two bytes": "é",
  "reads as two bytes": "Ã©",
  "control characters": "\u0000\u0001\u007f\u0080\u00ad\u0085",
};
const bytes = [0, 1, 2, 250, 255, 10, 92, 110];
const hex = Buffer.from(bytes).toString("hex");

const vectors = [];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
for (const version of ["1.0.6", "1.4.8", "1.7.4", "2.0.3", "2.5.0", "3.1.3", "4.2.0"]) {
  const root = join(dir, "node_modules", "c" + version);
  const script = ["dist/socket.io.js", "socket.io.js"].map((name) => join(root, name)).find(existsSync);
  await capture(version, readFileSync(script));
}
await browser.close();
console.log("[\n" + vectors.map((v) => JSON.stringify(v)).join(",\n") + "\n]");

async function capture(version, script) {
  const posts = [];
  let query, polled;
  const poll = new Promise((done) => (polled = done)); // the answer to the first GET of the session
  const web = createServer(async (req, res) => {
    const url = new URL(req.url, "http://localhost");
    if (url.pathname === "/client.js") return res.end(script);
    if (url.pathname !== "/socket.io/") return res.setHeader("Content-Type", "text/html").end("<!doctype html><body><script src=/client.js></script>");
    const v4 = url.searchParams.get("EIO") === "4";
    const answer = (to, packet) => to.end(`___eio[0](${JSON.stringify(v4 ? packet : `${packet.length}:${packet}`)});`);
    if (req.method === "POST") {
      let body = "";
      for await (const chunk of req.setEncoding("latin1")) body += chunk;
      if (body === "d=40") answer(await poll, '40{"sid":"y"}');
      else posts.push(body);
      return res.end("ok");
    }
    if (url.searchParams.has("sid")) return polled(res);
    query = `EIO=${url.searchParams.get("EIO")}`;
    answer(res, '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000}');
    if (!v4) answer(await poll, "40");
  });
  await new Promise((done) => web.listen(0, "127.0.0.1", done));
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${web.address().port}/`);
  await page.evaluate(() => {
    window.socket = io({ transports: ["polling"], forceJSONP: true, jsonp: true });
    return new Promise((done) => socket.on("connect", done));
  });
  const emit = async (...args) => {
    posts.length = 0;
    await page.evaluate((args) => socket.emit("say", ...args.map((a) => (Array.isArray(a) ? new Uint8Array(a).buffer : a))), args);
    await new Promise((done) => setTimeout(done, 400));
    return [...posts];
  };
  for (const [name, text] of Object.entries(texts)) {
    // 1.x encodes text twice and 2.x once, and nothing tells them apart: the one text that 2.x loses.
    const read = version[0] === "2" && text === "Ã©" ? "é" : text;
    const [body] = await emit(text);
    vectors.push({ client: version, name, query, body, want: ["text 2" + JSON.stringify(["say", read])] });
  }
  const want = ["text 51-" + JSON.stringify(["say", { _placeholder: true, num: 0 }, "中"]), "binary " + hex];
  const bodies = await emit(bytes, "中");
  if (bodies.length === 1) vectors.push({ client: version, name: "binary", query, body: bodies[0], want });
  else bodies.forEach((body, i) => vectors.push({ client: version, name: `binary, post ${i + 1}`, query, body, want: [want[i]] }));
  await page.close();
  web.closeAllConnections();
  web.close();
}
