// Compose a push: count whom it would reach, then send it.

import { call, may, pathOf } from "./api.js";
import { audienceFields } from "./audience.js";
import { el, field, fill, number, put, text, trouble } from "./dom.js";
import { messageFields } from "./message.js";

const duration = /^\d+(\.\d+)?(ms|s|m|h)(\d+(\.\d+)?(ms|s|m|h))*$/;

// pushPage fills in whom it is for: kind is "user" or "room".
export function pushPage(kind, name) {
  const to = audienceFields({ kind, name });
  const message = messageFields();
  const ttl = el("input", { placeholder: "72h", autocomplete: "off", pattern: duration.source });
  const ack = el("input", { placeholder: "2s", autocomplete: "off", pattern: duration.source });
  const receipt = el("input", { type: "checkbox" });
  const result = el("div", { class: "result", "aria-live": "polite" });
  const buttons = [el("button", { type: "button", onclick: () => send(true) }, text.push_count), el("button", { type: "submit", class: "main" }, text.push_send)];

  async function send(dry) {
    try {
      const push = { to: to.value(), ...message.value() };
      if (ttl.value.trim() && !dry) push.ttl = ttl.value.trim();
      if (ack.value.trim() && !dry) push.ack = ack.value.trim();
      if (receipt.checked && !dry) push.receipt = true;
      if (dry) push.dry_run = true;
      if (!dry && push.to.all && !confirm(text.push_all_sure)) return;
      for (const one of buttons) one.disabled = true;
      put(result, outcome(await call("POST", "push", push), dry, push));
    } catch (error) {
      put(result, trouble(error));
    } finally {
      for (const one of buttons) one.disabled = false;
    }
  }

  if (!may("push")) return { view: el("p", { class: "card" }, text.no_push) };
  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.push)),
      el("form", { class: "card", onsubmit: (event) => {
        event.preventDefault();
        send(false);
      } }, to.view, message.view,
      el("details", {}, el("summary", {}, text.push_options), el("div", { class: "columns" },
        field(text.ttl, ttl, text.ttl_hint), field(text.ack, ack, text.ack_hint)), el("label", { class: "check" }, receipt, text.receipt_keep)),
      el("div", { class: "actions" }, buttons)), result),
  };
}

// outcome says what became of a push.
function outcome(answer, dry, push) {
  const { users, connections } = answer.matched;
  const words = { users: number(users), connections: number(connections) };
  const known = push.ttl || push.ack || push.receipt;
  return el("div", { class: "card good" },
    el("p", { class: "big" }, fill(dry ? text.push_would : text.push_did, words)),
    answer.partial && el("p", { class: "trouble" }, text.partial),
    answer.stored && el("p", {}, text.push_stored),
    answer.acked && el("p", {}, fill(text.push_acked, { users: number(answer.acked.users), connections: number(answer.acked.connections) })),
    answer.acked?.answers?.length > 0 && el("pre", { class: "code" }, JSON.stringify(answer.acked.answers, null, 2)),
    !dry && el("p", { class: "hint" }, text.message, " ", known && may("read") ? el("a", { href: `#/${pathOf("messages", answer.id)}` }, answer.id) : el("code", {}, answer.id)));
}
