// Drives a page in Chromium: a JSON object a line in, {"ok":true,…} or {"error"} a line out.
//
// Its arguments are the browser's path, rules for finding hosts (--host-resolver-rules), and how many milliseconds
// anything may take. The first command is {"do":"open","url","width","height"}. The scripts that pages take from public CDNs come
// from node_modules; nothing else outside this machine can be reached.
import { createInterface } from "node:readline";
import { readFile } from "node:fs/promises";
import { chromium } from "playwright-core";

const [executablePath, hostRules, limit] = process.argv.slice(2);

// Releases of the client by what their address on a CDN has.
const scripts = [
  { pattern: /\/socket\.io\/2\.0\.3\/(socket\.io\.js)$/, folder: "sioc-2.0" },
  { pattern: /\/socket\.io-client@4[^/]*\/dist\/([\w.]+\.js)$/, folder: "sioc-4" },
];

const browser = await chromium.launch({
  executablePath,
  args: ["--no-sandbox", `--host-resolver-rules=${hostRules}`],
  timeout: Number(limit),
});
const context = await browser.newContext({ locale: "en-GB" });
context.setDefaultTimeout(Number(limit));
const complaints = [];
let page;

await context.route(/^https:/, async (route) => {
  for (const { pattern, folder } of scripts) {
    const name = pattern.exec(route.request().url())?.[1];
    if (!name) continue;
    const body = await readFile(new URL(`../node_modules/${folder}/dist/${name}`, import.meta.url));
    return route.fulfill({ contentType: "text/javascript", headers: { "access-control-allow-origin": "*" }, body });
  }
  return route.abort();
});

const commands = {
  async open({ url, width, height }) {
    page = await context.newPage();
    await page.setViewportSize({ width, height });
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
    page.on("dialog", (dialog) => dialog.accept());
    await page.goto(url);
    return {};
  },
  async reload() {
    await page.reload();
    return {};
  },
  // Waits until the element has the text; returns all of its text.
  async wait({ selector, text }) {
    const found = page.locator(selector).filter({ hasText: text ?? "" }).first();
    await found.waitFor();
    return { text: await found.innerText() };
  },
  // Types into a field, in place of what it has, and presses Enter.
  async type({ selector, text }) {
    await page.locator(selector).fill(text);
    await page.locator(selector).press("Enter");
    return {};
  },
  async fill({ selector, text }) {
    await page.locator(selector).first().fill(text);
    return {};
  },
  async forgive() {
    complaints.length = 0;
    return {};
  },
  async click({ selector }) {
    await page.locator(selector).first().click();
    return {};
  },
  async attribute({ selector, name }) {
    return { text: await page.locator(selector).getAttribute(name) };
  },
  // Takes a picture of the whole page and tells whether it is wider than the window.
  async picture({ path, width, height }) {
    await page.setViewportSize({ width, height });
    await page.evaluate(() => {
      const finite = document.getAnimations().filter((one) => one.effect.getComputedTiming().endTime < Infinity);
      return Promise.allSettled(finite.map((one) => one.finished));
    });
    await page.screenshot({ path, fullPage: true });
    return { overflow: await page.evaluate(() => document.documentElement.scrollWidth - innerWidth) };
  },
  async complaints() {
    return { complaints };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  try {
    console.log(JSON.stringify({ ok: true, ...(await commands[command.do](command)) }));
  } catch (error) {
    console.log(JSON.stringify({ error: `${error.message}\nThe page: ${page?.url()}; ${complaints.join("; ")}` }));
  }
}
await browser.close();
