// Runs the clients of plain.mjs: commands on standard input, a JSON object a line; one JSON line on standard output for
// everything that happens. With the path of a Chromium they run in a page there, with the browser's own WebSocket,
// EventSource and fetch, else in Node, with npm's ws and eventsource. The page comes from another origin.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { commands } from "./plain.mjs";

const print = (line) => process.stdout.write(line + "\n");
const require = createRequire(import.meta.url);

function inNode() {
  const env = { WebSocket: require("ws"), EventSource: require("eventsource").EventSource, SockJS: require("sockjs-client") };
  const run = commands(env, (line) => print(JSON.stringify(line)));
  return { tell: (command) => run[command.do](command), close: () => {} };
}

const page = `<!doctype html><title>client</title><script src="sockjs.js"></script>
<script type="module">
  import { commands } from "./plain.mjs";
  let calls = 0;
  const script = (address) => new Promise((done, failed) => {
    const name = "answer" + ++calls;
    const element = document.createElement("script");
    const end = (then) => (value) => { delete window[name]; element.remove(); then(value); };
    window[name] = end(done);
    element.onerror = end(failed);
    element.src = address + "&callback=" + name;
    document.head.append(element);
  });
  window.run = commands({ WebSocket, EventSource, SockJS, script }, (line) => window.print(JSON.stringify(line)));
</script>`;

async function inChromium(executablePath) {
  const { chromium } = await import("playwright-core");
  const here = (path) => new URL(path, import.meta.url);
  const server = createServer(async (request, response) => {
    const answers = {
      "/": ["text/html", () => page],
      "/sockjs.js": ["text/javascript", () => readFile(here("../node_modules/sockjs-client/dist/sockjs.min.js"))],
      "/plain.mjs": ["text/javascript", () => readFile(here("plain.mjs"))],
    };
    const [type, body] = answers[request.url] ?? [];
    response.writeHead(type ? 200 : 404, { "content-type": type ?? "text/plain" });
    response.end(type && (await body()));
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"], timeout: 0 });
  const one = await (await browser.newContext()).newPage();
  one.on("pageerror", (error) => console.error(error.stack));
  await one.exposeFunction("print", print);
  await one.goto(`http://127.0.0.1:${server.address().port}/`);
  await one.waitForFunction("window.run");
  return {
    tell: (command) => one.evaluate((command) => void window.run[command.do](command), command),
    close: () => browser.close(),
  };
}

const clients = process.argv[2] ? await inChromium(process.argv[2]) : inNode();
for await (const line of createInterface({ input: process.stdin })) {
  await clients.tell(JSON.parse(line));
}
await clients.close();
process.exit(0);
