// Pushes an event to a user: node push.mjs UID EVENT JSON
//
// CRIER_URL is Crier's push port, http://127.0.0.1:2121 unless set; CRIER_KEY a key of api.keys, if one is needed.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const { CRIER_URL = "http://127.0.0.1:2121", CRIER_KEY } = process.env;

/** Crier refused the push. code never changes from release to release; the message is for people. */
export class PushError extends Error {
  constructor({ code, detail }) {
    super(`${code}: ${detail}`);
    this.code = code;
  }
}

/** Returns {id, matched: {users, connections}, …}. Throws a PushError, or what fetch throws if Crier is not there. */
export async function push(uids, event, data, tries = 3) {
  // The id makes it harmless to try again: the same id is pushed once.
  const body = JSON.stringify({ id: randomUUID(), to: { users: uids }, event, data });
  const headers = { "Content-Type": "application/json" };
  if (CRIER_KEY) headers.Authorization = `Bearer ${CRIER_KEY}`;
  for (;;) {
    tries--;
    let wait = 1;
    try {
      const signal = AbortSignal.timeout(5000);
      const response = await fetch(`${CRIER_URL}/v1/push`, { method: "POST", headers, body, signal });
      if (response.ok) return await response.json();
      // 429 and 503 ask to come again.
      if (tries === 0 || ![429, 503].includes(response.status)) throw new PushError(await problemOf(response));
      wait = Math.min(Number(response.headers.get("Retry-After")) || 1, 10);
      await response.body?.cancel();
    } catch (error) {
      if (tries === 0 || error instanceof PushError) throw error;
    }
    await sleep(wait * 1000);
  }
}

async function problemOf(response) {
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) return response.json();
  return { code: response.status, detail: response.statusText }; // a proxy's, not Crier's
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [uid, event, json] = process.argv.slice(2);
  try {
    if (json === undefined) throw new Error("usage: node push.mjs UID EVENT JSON");
    console.log(JSON.stringify(await push([uid], event, JSON.parse(json))));
  } catch (error) {
    console.error("push:", error.message, error.cause?.message ?? "");
    process.exitCode = 1;
  }
}
