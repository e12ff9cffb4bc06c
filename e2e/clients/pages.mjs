// Opens Socket.IO connections with the official clients' browser bundles in Chromium, one page with a
// cache and connections of its own for each release: commands and what happens are as for driver.mjs.
//
// Its argument is the browser's path.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const here = (path) => new URL(path, import.meta.url);
const print = (line) => process.stdout.write(line + "\n");

// The name of a release that is to think that its browser is old.
const old = /\+old$/;

// Where a release keeps its bundle.
function bundle(name) {
  const lib = name.replace(old, "");
  const inDist = here(`../node_modules/${lib}/dist/socket.io.js`);
  return existsSync(inDist) ? inDist : here(`../node_modules/${lib}/socket.io.js`);
}

const page = (lib) => `<!doctype html><title>client</title>
${old.test(lib) ? '<script src="old.js"></script>' : ""}<script src="bundle.js"></script>
<script type="module">
  import { commands } from "./sockets.mjs";
  window.run = commands(() => window.io, (line) => window.print(JSON.stringify(line)));
</script>`;

// Serves /<release>/, whose host name is the server's under test: 127.0.0.1.
const server = createServer(async (request, response) => {
  const [, lib, name] = request.url.split("/");
  const answers = {
    "": ["text/html", () => page(lib)],
    "old.js": ["text/javascript", () => readFile(here("old.js"))],
    "bundle.js": ["text/javascript", () => readFile(bundle(lib))],
    "sockets.mjs": ["text/javascript", () => readFile(here("sockets.mjs"))],
  };
  const [type, body] = answers[name] ?? [];
  response.writeHead(type ? 200 : 404, { "content-type": type ?? "text/plain" });
  response.end(type && (await body()));
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));

// Who waits for an answer gives up by himself.
const browser = await chromium.launch({ executablePath: process.argv[2], args: ["--no-sandbox"], timeout: 0 });
const pages = new Map();
const owners = new Map(); // of the sockets: the releases

async function pageOf(lib) {
  if (pages.has(lib)) return pages.get(lib);
  const context = await browser.newContext({ ignoreHTTPSErrors: true }); // the certificates are the tests' own
  context.setDefaultTimeout(0);
  const made = await context.newPage();
  made.on("pageerror", (error) => console.error(`${lib}: ${error.stack}`));
  await made.exposeFunction("print", print);
  pages.set(lib, made);
  await load(made, lib);
  return made;
}

// Loads a page, anew if it has been: then nothing is left of its connections.
async function load(one, lib) {
  await one.goto(`http://127.0.0.1:${server.address().port}/${lib}/`);
  await one.waitForFunction("window.run");
}

// Has a page carry out a command. What a client throws is its own affair, as in a page, but no secret.
async function tell(one, command) {
  try {
    await one.evaluate((command) => window.run[command.do](command), command);
  } catch (error) {
    console.error(`${command.do} ${command.id ?? ""}: ${error.message}`);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.do === "forget") {
    for (const lib of new Set(owners.values())) await load(pages.get(lib), lib);
    owners.clear();
    continue;
  }
  if (command.do === "open") owners.set(command.id, command.lib);
  await tell(await pageOf(owners.get(command.id)), command);
}
await browser.close();
process.exit(0);
