// Receives Crier's callbacks: node callback.mjs, and crier --webhook.url http://127.0.0.1:8000/
//
// CRIER_WEBHOOK_SECRET is one of Crier's webhook.secrets (whsec_…), PORT where to listen.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { buffer } from "node:stream/consumers";

const tolerance = 300; // seconds that a callback may be old, or early
const { CRIER_WEBHOOK_SECRET: secret = "", PORT = 8000 } = process.env;
const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
if (!key.length) throw new Error("CRIER_WEBHOOK_SECRET has to be whsec_ and base64"); // without a key anybody could sign

/** Whether Crier signed these very bytes, and lately (standardwebhooks.com). */
function genuine(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures = "" } = headers;
  if (!/^\d+$/.test(timestamp) || Math.abs(Date.now() / 1000 - timestamp) > tolerance) return false;
  const want = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // There are several signatures while webhook.secrets are changed.
  return signatures.split(" ").some((one) => {
    const given = Buffer.from(one.startsWith("v1,") ? one.slice(3) : "", "base64");
    return given.length === want.length && timingSafeEqual(given, want);
  });
}

/**
 * A callback comes again until it is answered by 2xx, so it can come twice. Make one quick statement of it that does not
 * mind: UPDATE users SET online = ?, version = ? WHERE uid = ? AND version < ?
 */
async function handle({ type, data }) {
  if (type === "client.event") return 404; // what a browser says, of forward.events: forward.url is the place for it
  console.log(type, data.uid, data.version);
  return 204;
}

const server = createServer({ requestTimeout: 10_000, keepAliveTimeout: 60_000 }, async (request, response) => {
  try {
    if (!(request.headers["content-length"] <= 65536)) {
      response.writeHead(413, { Connection: "close" }).end();
      return;
    }
    const body = await buffer(request);
    const known = request.method === "POST" && genuine(request.headers, body);
    response.writeHead(known ? await handle(JSON.parse(body)) : 401).end();
  } catch (error) {
    console.error("callback:", error.message);
    response.writeHead(500).end(); // Crier tries again
  }
});
server.listen(PORT, "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`);
});
