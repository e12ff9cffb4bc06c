// Checks Standard Webhooks signatures with nothing but Node's crypto: a JSON object
// {"secret","id","timestamp","signature","body"} a line in, {"valid":bool} a line out.
// "body" is the base64 of the bytes as received.
import { createHmac, timingSafeEqual } from "node:crypto";
import { createInterface } from "node:readline";

function valid({ secret, id, timestamp, signature, body }) {
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key);
  mac.update(`${id}.${timestamp}.`);
  mac.update(Buffer.from(body, "base64"));
  const wanted = mac.digest();
  return signature.split(" ").some((one) => {
    const [version, value] = one.split(",");
    const given = Buffer.from(value ?? "", "base64");
    return version === "v1" && given.length === wanted.length && timingSafeEqual(given, wanted);
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify({ valid: valid(JSON.parse(line)) }) + "\n");
}
