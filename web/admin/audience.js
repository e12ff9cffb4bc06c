// The part of a form that says whom a push is for.

import { audience } from "./api.js";
import { el, field, text } from "./dom.js";

const names = (input) => input.value.split(/[\n,]/).map((one) => one.trim()).filter(Boolean);

// audienceFields are { view, value }: value returns the "to" of a push, and throws an Error that says what is missing.
export function audienceFields({ kind, name } = {}) {
  const area = (value) => el("textarea", { rows: 2, spellcheck: "false", autocomplete: "off", value: value ?? "" });
  const users = area(kind === "user" ? name : "");
  const rooms = area(kind === "room" ? name : "");
  const connections = area("");
  const except = area("");
  const all = el("input", { type: "checkbox" });
  const limited = audience() !== "";
  const everybody = el("label", { class: "check" }, all, text.to_all);
  const lists = el("div", { class: "columns" }, field(text.to_users, users, text.to_names_hint), field(text.to_rooms, rooms),
    !limited && field(text.to_connections, connections), field(text.to_except, except, text.to_except_hint));
  all.addEventListener("change", () => {
    for (const input of [users, rooms, connections]) input.disabled = all.checked;
  });
  return {
    view: el("fieldset", {}, el("legend", {}, text.to), !limited && everybody, lists),
    value() {
      const to = all.checked ? { all: true } : {};
      if (!all.checked) {
        for (const [key, input] of Object.entries({ users, rooms, connections })) {
          if (names(input).length > 0) to[key] = names(input);
        }
      }
      if (Object.keys(to).length === 0) throw new Error(text.to_nobody);
      if (names(except).length > 0) to.except = { users: names(except) };
      return to;
    },
  };
}
