// The Socket.IO connection of this page: connects, logs in, says how it goes.

export class Connection {
  #config;
  #socket = null;
  #uid = "";
  #token = "";
  #refused = false; // the server did not accept the user
  #told = { state() {}, event() {}, trouble() {}, fine() {} };

  constructor(config) {
    this.#config = config;
  }

  on(listeners) {
    this.#told = listeners;
  }

  async start(uid, token) {
    [this.#uid, this.#token] = [uid, token];
    if (!(await this.#clientLoaded())) {
      this.#told.state("stopped");
      this.#told.trouble("script", {});
      return;
    }
    this.#open();
  }

  // become logs in as another user: a connection is one user for good, so it
  // takes a new one.
  become(uid, token) {
    [this.#uid, this.#token] = [uid, token];
    this.reconnect();
  }

  reconnect() {
    if (!this.#socket) return;
    this.#told.state("connecting");
    this.#socket.disconnect().connect();
  }

  // The page's own script tag asked the first place; try the others.
  async #clientLoaded() {
    for (const { src, integrity } of this.#config.scripts.slice(1)) {
      if (window.io) break;
      await new Promise((resolve) => {
        const tag = document.createElement("script");
        Object.assign(tag, { src, integrity, crossOrigin: "anonymous", onload: resolve, onerror: resolve });
        document.head.append(tag);
      });
    }
    return Boolean(window.io);
  }

  #open() {
    const socket = window.io({ path: this.#config.path, autoConnect: false, reconnectionDelayMax: 4000 });
    this.#socket = socket;
    socket.on("connect", () => this.#login());
    socket.on("disconnect", (reason) => this.#lost(reason));
    socket.on("connect_error", (error) => this.#failed(error));
    socket.onAny((name, ...args) => this.#told.event(name, args));
    socket.io.on("open", () => socket.io.engine.on("upgrade", () => this.#connected()));
    socket.connect();
  }

  #connected() {
    if (this.#socket.connected && !this.#refused) {
      this.#told.state("connected", this.#socket.io.engine.transport.name);
    }
  }

  #login() {
    const args = this.#token ? [this.#uid, this.#token] : [this.#uid];
    this.#refused = false;
    this.#connected();
    this.#told.fine();
    this.#socket.emit("login", ...args, (answer) => {
      if (answer?.ok !== false) return;
      this.#refused = true;
      this.#told.state("refused");
      this.#told.trouble("login", { uid: this.#uid, error: String(answer.error ?? "") });
    });
  }

  #lost(reason) {
    if (reason === "io client disconnect") return;
    if (reason === "io server disconnect") {
      this.#told.state("stopped");
      if (!this.#refused) this.#told.trouble("kicked", {});
      return;
    }
    this.#told.state("reconnecting");
  }

  #failed(error) {
    if (!this.#socket.active) { // the server said no; the client does not try again
      this.#told.state("refused");
      this.#told.trouble("login", { uid: this.#uid, error: error.message });
      return;
    }
    this.#told.state("reconnecting");
    const request = error.context;
    this.#told.trouble("unreachable", {
      status: request?.status || 0,
      said: typeof request?.responseText === "string" ? serverSentence(request) : "",
    });
  }
}

// serverSentence is what a refused request says, as far as it is for people.
function serverSentence({ responseText }) {
  if (/^\s*</.test(responseText)) return ""; // a proxy's HTML page
  try {
    const { message, detail } = JSON.parse(responseText);
    return String(detail ?? message ?? "");
  } catch {
    return responseText.trim().slice(0, 500);
  }
}
