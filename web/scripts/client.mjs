// Copies the pinned Socket.IO browser clients, and the charts of the dashboard,
// from node_modules into client/, where the Go build embeds them.
//
//   npm ci && npm run build   copies; refuses files that release.json does not know
//   npm run pin               after a version change: rewrites release.json, then copies
//
// release.json is committed. It holds each release's version and the digest of
// every file, so that the page can also take them from a public CDN.

import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";

const root = new URL("../", import.meta.url);

// The name a browser asks for → the file inside the npm package.
const releases = {
  4: {
    package: "socket.io-client",
    files: {
      "socket.io.js": "socket.io.js",
      "socket.io.min.js": "socket.io.min.js",
      "socket.io.esm.min.js": "socket.io.esm.min.js",
      "socket.io.msgpack.min.js": "socket.io.msgpack.min.js",
    },
  },
  2: {
    package: "socket.io-client-2",
    files: { "socket.io.js": "socket.io.js" },
  },
  uplot: {
    package: "uplot",
    files: { "uPlot.iife.min.js": "uPlot.iife.min.js", "uPlot.min.css": "uPlot.min.css" },
  },
};

const json = async (path) => JSON.parse(await readFile(new URL(path, root), "utf8"));
const print = (value) => JSON.stringify(value, null, 2) + "\n";

async function collect() {
  const lock = await json("package-lock.json");
  const manifest = {};
  const contents = new Map();
  for (const [key, { package: name, files }] of Object.entries(releases)) {
    const { version } = await json(`node_modules/${name}/package.json`);
    const locked = lock.packages[`node_modules/${name}`].version;
    if (version !== locked) {
      throw new Error(`node_modules holds ${name} ${version}, package-lock.json says ${locked}: run npm ci`);
    }
    manifest[key] = { version, files: {} };
    for (const [as, file] of Object.entries(files)) {
      const body = await readFile(new URL(`node_modules/${name}/dist/${file}`, root));
      manifest[key].files[as] = "sha384-" + createHash("sha384").update(body).digest("base64");
      contents.set(`${key}/${as}`, body);
    }
  }
  return { manifest, contents };
}

async function replaceClient(manifest, contents) {
  const dir = new URL("client/", root);
  await mkdir(dir, { recursive: true });
  for (const entry of await readdir(dir)) {
    if (entry !== "README.md") await rm(new URL(entry, dir), { recursive: true });
  }
  for (const [path, body] of contents) {
    const target = new URL(path, dir);
    await mkdir(new URL("./", target), { recursive: true });
    await writeFile(target, body);
  }
  await writeFile(new URL("release.json", dir), print(manifest));
}

async function main() {
  const { manifest, contents } = await collect();
  if (process.argv.includes("--pin")) {
    await writeFile(new URL("release.json", root), print(manifest));
  } else if (print(manifest) !== print(await json("release.json"))) {
    throw new Error("the installed packages differ from release.json: after a wanted version change run npm run pin, else npm ci");
  }
  await replaceClient(manifest, contents);
  for (const [key, { version }] of Object.entries(manifest)) console.log(`client/: ${releases[key].package} ${version}`);
}

try {
  await main();
} catch (error) {
  console.error(`web/scripts/client.mjs: ${error.message}`);
  if (error.code === "ENOENT") console.error("run npm ci in web/ first");
  process.exitCode = 1;
}
