// Incoming messages: a list of the latest ones, and a short stack of toasts.

const $ = (id) => document.getElementById(id);
const keep = 200; // messages in the list
const stack = 3; // toasts in the deck
const longest = 2000; // characters shown of one message
const toastTime = 6000; // ms

// The push port escapes new_msg as PHP's htmlspecialchars does; these five are
// all it writes, so undoing them needs no HTML parser.
const entities = { "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#039;": "'", "&amp;": "&" };
const decode = (s) => s.replace(/&(?:lt|gt|quot|#039|amp);/g, (entity) => entities[entity]);

export class Inbox {
  #text;
  #clock = new Intl.DateTimeFormat(document.documentElement.lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  #waiting = []; // messages not drawn yet
  #skipped = 0; // of those, how many were already too old to draw
  #timer = 0;
  #total = 0;
  #unseen = 0;
  #title = document.title;

  constructor(text) {
    this.#text = text;
    $("clear").addEventListener("click", () => this.#clear());
    document.addEventListener("visibilitychange", () => this.#countUnseen(0));
  }

  receive(event, args) {
    this.#waiting.push({ event, body: this.#describe(event, args), at: new Date() });
    if (this.#waiting.length > keep) {
      this.#waiting.shift();
      this.#skipped++;
    }
    // A burst is drawn in one go.
    this.#timer ||= setTimeout(() => this.#draw(), 30);
  }

  // describe makes text of an event's arguments; structured says it is JSON.
  #describe(event, args) {
    const structured = args.some((arg) => typeof arg !== "string");
    const parts = args.map((arg) => {
      if (typeof arg === "string") return event === "new_msg" ? decode(arg) : arg;
      return JSON.stringify(arg, (_, value) =>
        value instanceof ArrayBuffer ? this.#text.binary.replace("{n}", value.byteLength) : value);
    });
    let all = parts.join("\n");
    if (all.length > longest) {
      all = all.slice(0, longest) + this.#text.cut.replace("{n}", all.length.toLocaleString());
    }
    return { shown: all, structured };
  }

  #draw() {
    const [messages, skipped] = [this.#waiting, this.#skipped];
    [this.#waiting, this.#skipped, this.#timer] = [[], 0, 0];
    this.#total += messages.length + skipped;
    $("empty").hidden = true;
    $("clear").hidden = false;
    $("total").hidden = false;
    $("total").textContent = this.#total.toLocaleString();

    const log = $("log");
    log.prepend(...messages.map((m) => this.#row(m)).reverse());
    while (log.childElementCount > keep) log.lastElementChild.remove();

    const fresh = messages.slice(-stack);
    const more = messages.length + skipped - fresh.length;
    for (const m of fresh) this.#toast(m, m === fresh.at(-1) ? more : 0);

    this.#ring();
    this.#countUnseen(messages.length + skipped);
  }

  #row({ event, body, at }) {
    const row = document.createElement("li");
    const time = document.createElement("time");
    time.dateTime = at.toISOString();
    time.textContent = this.#clock.format(at);
    row.append(time, this.#body(event, body));
    return row;
  }

  #body(event, body) {
    const box = document.createElement("div");
    if (event && event !== "new_msg") {
      const name = document.createElement("code");
      name.textContent = event;
      box.append(name);
    }
    const p = document.createElement("p");
    p.dir = "auto";
    p.textContent = body.shown;
    if (body.structured) p.className = "data";
    box.append(p);
    return box;
  }

  #toast({ event, body }, more) {
    const toast = document.createElement("div");
    toast.className = "toast";
    const close = document.createElement("button");
    close.type = "button";
    close.setAttribute("aria-label", this.#text.dismiss);
    const cross = document.createElement("span");
    cross.setAttribute("aria-hidden", "true");
    cross.textContent = "×";
    close.append(cross);
    const content = this.#body(event, body);
    if (more > 0) {
      const p = document.createElement("p");
      p.className = "more";
      p.textContent = this.#text.more.replace("{n}", more.toLocaleString());
      content.append(p);
    }
    toast.append(content, close);

    const leave = () => {
      toast.dataset.leaving = "";
      setTimeout(() => toast.remove(), 200);
    };
    let timer = setTimeout(leave, toastTime);
    const hold = () => clearTimeout(timer);
    const release = () => { hold(); timer = setTimeout(leave, toastTime / 2); };
    toast.addEventListener("pointerenter", hold);
    toast.addEventListener("pointerleave", release);
    toast.addEventListener("focusin", hold);
    toast.addEventListener("focusout", release);
    close.addEventListener("click", () => { hold(); leave(); });

    $("toasts").append(toast);
    while ($("toasts").childElementCount > stack) $("toasts").firstElementChild.remove();
  }

  // The rings behind the page run once, from their start.
  #ring() {
    for (const animation of document.querySelector(".rings").getAnimations({ subtree: true })) animation.cancel();
    document.body.classList.remove("ringing");
    requestAnimationFrame(() => document.body.classList.add("ringing"));
  }

  #countUnseen(more) {
    this.#unseen = document.hidden ? this.#unseen + more : 0;
    document.title = this.#unseen ? `(${this.#unseen}) ${this.#title}` : this.#title;
  }

  #clear() {
    this.#total = 0;
    $("log").replaceChildren();
    $("toasts").replaceChildren();
    $("empty").hidden = false;
    $("clear").hidden = true;
    $("total").hidden = true;
    $("inbox-title").focus();
  }
}
