// What is wrong with the connection, and what to do about it.

function make(tag, text, className) {
  const el = document.createElement(tag);
  if (text) el.textContent = text;
  if (className) el.className = className;
  return el;
}

const fill = (pattern, values) => pattern.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");

export class Trouble {
  #box;
  #config;
  #shown = "";

  constructor(box, config) {
    this.#box = box;
    this.#config = config;
    this.onReconnect = () => {};
  }

  hide() {
    this.#shown = "";
    this.#box.hidden = true;
    this.#box.replaceChildren();
  }

  // show draws the kind of trouble; the same one again is not drawn, and so not
  // read aloud, a second time.
  show(kind, detail) {
    const key = JSON.stringify([kind, detail, navigator.onLine]);
    if (key === this.#shown) return;
    this.#shown = key;
    this.#box.replaceChildren(...this[kind](detail));
    this.#box.hidden = false;
  }

  unreachable({ status, said }) {
    const { text, path } = this.#config;
    if (!navigator.onLine) return [make("h2", text.offline_title)];
    const parts = [make("h2", text.unreachable_title)];
    if (status) parts.push(make("p", fill(text.said, { status })));
    if (said) return [...parts, make("blockquote", said), make("p", text.retrying)]; // it says what to do
    parts.push(make("p", text.unreachable_text));
    const checks = [text.check_running, fill(text.check_proxy, { path }), fill(text.check_origin, { origin: location.origin })];
    const list = make("ul");
    list.append(...checks.map((check) => make("li", check)));
    return [...parts, list];
  }

  script() {
    const { text, scripts } = this.#config;
    const list = make("ul");
    list.append(...scripts.map(({ src }) => make("li", src)));
    const own = !scripts.some(({ integrity }) => integrity);
    return [
      make("h2", text.script_title),
      make("p", text.script_text),
      list,
      make("p", own ? text.script_own : text.script_cdn),
    ];
  }

  kicked() {
    const { text } = this.#config;
    const button = make("button", text.reconnect);
    button.type = "button";
    button.addEventListener("click", () => {
      this.hide();
      this.onReconnect();
    });
    return [make("h2", text.kicked_title), make("p", text.kicked_text), button];
  }

  login({ uid, error }) {
    const { text } = this.#config;
    const parts = [make("h2", text.login_title)];
    if (error) parts.push(make("blockquote", error));
    parts.push(make("p", text.login_text), make("code", `crier token --uid ${uid}`));
    return parts;
  }
}
