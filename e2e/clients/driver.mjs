// Opens Socket.IO connections with the official clients in Node: commands on standard input, a JSON
// object a line, as sockets.mjs says; one JSON line on standard output for everything that happens.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { commands } from "./sockets.mjs";

const run = commands(createRequire(import.meta.url), (line) => process.stdout.write(JSON.stringify(line) + "\n"));

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  run[command.do](command);
}
process.exit(0);
