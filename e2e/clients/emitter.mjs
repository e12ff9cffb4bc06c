// Emits with the official emitter of npm. Usage: node emitter.mjs redis://HOST:PORT
// Each line of standard input is an array of calls, one after the other on what the one before returned:
// [["of","/chat"],["to","room"],["volatile"],["emit","event","argument"]]. Binary is {"$binary":"<base64>"}.
// Prints {"receivers":N} when Redis has it: how many are subscribed to it.
import { createInterface } from "node:readline";
import { createClient } from "@redis/client";
import { Emitter } from "@socket.io/redis-emitter";

const redis = createClient({ url: process.argv[2], socket: { reconnectStrategy: 50 } });
redis.on("error", () => {}); // it comes back by itself
await redis.connect();

let published;
const emitter = new Emitter({ publish: (channel, message) => (published = redis.publish(channel, message)) });

function fromWire(value) {
  if (Array.isArray(value)) return value.map(fromWire);
  if (value && typeof value.$binary === "string") return Buffer.from(value.$binary, "base64");
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, fromWire(one)]));
  }
  return value;
}

for await (const line of createInterface({ input: process.stdin })) {
  let at = emitter;
  for (const [method, ...args] of JSON.parse(line)) {
    at = method === "volatile" ? at.volatile : at[method](...args.map(fromWire));
  }
  process.stdout.write(JSON.stringify({ receivers: await published }) + "\n");
}
process.exit(0);
