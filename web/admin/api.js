// Calls of the server: the JSON form of its push port, as who is signed in.

let session = null;
let ended = () => {};

// onEnd is told when the session is over.
export const onEnd = (fn) => (ended = fn);

export const rights = () => session?.rights ?? [];
export const may = (right) => rights().includes(right);
export const audience = () => session?.audience ?? "";

// A Refusal is an answer that is a problem (RFC 9457).
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.title ?? String(status));
    this.status = status;
    this.code = problem.code ?? "";
  }
}

async function request(method, path, body) {
  const headers = {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (session) headers["X-Crier-Token"] = session.token;
  const answer = await fetch(path, {
    method, headers, body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    credentials: "same-origin", cache: "no-store", redirect: "error",
  });
  const words = await answer.text();
  let value = {};
  try {
    value = JSON.parse(words);
  } catch {
    value = { detail: words.slice(0, 300) };
  }
  if (!answer.ok) throw new Refusal(answer.status, value);
  return value;
}

// call makes a call of /v1: call("GET", "users/42").
export async function call(method, path, body) {
  try {
    return await request(method, `/admin/api/${path}`, body);
  } catch (error) {
    if (error.code === "wrong_token") {
      await look(); // the server has begun anew: it has another token
      return request(method, `/admin/api/${path}`, body);
    }
    if (error.code === "signed_out") ended();
    throw error;
  }
}

// stream reads the events of a call, one after the other: told gets the data of each. It comes to an end with the connection,
// or with signal; after is the id of the last event of before. An EventSource could not send the token.
export async function stream(path, after, signal, opened, told) {
  const headers = { "X-Crier-Token": session.token, ...(after && { "Last-Event-ID": after }) };
  const answer = await fetch(`/admin/api/${path}`, { headers, signal, credentials: "same-origin", cache: "no-store", redirect: "error" });
  if (!answer.ok) throw new Refusal(answer.status, await answer.json());
  opened();
  let rest = "";
  for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) return;
    const events = (rest + value).split("\n\n");
    rest = events.pop();
    for (const one of events) {
      const fields = Object.fromEntries(one.split("\n").map((line) => line.split(/: (.*)/s)));
      told(fields.id, JSON.parse(fields.data));
    }
  }
}

export const get = (path) => call("GET", path);

// pathOf writes names as parts of a path.
export const pathOf = (...parts) => parts.map(encodeURIComponent).join("/");

// look asks who one is.
export async function look() {
  session = await request("GET", "/admin/session");
  return session;
}

// alive finds out whether somebody is still signed in. That the server cannot be reached is no reason to think otherwise.
export async function alive() {
  try {
    await look();
  } catch {
    return;
  }
  if (session.by === "") ended();
}

export async function signIn(key) {
  session = await request("POST", "/admin/session", { key });
  return session;
}

export async function signOut() {
  session = await request("DELETE", "/admin/session");
  return session;
}
