// The part of a form that says what is pushed: an event with any JSON.

import { el, field, text } from "./dom.js";

// messageFields are { view, value }: value returns the members "event" and "data" of a push, and throws an Error that says where
// the JSON is wrong. What is no JSON at all, and does not look like it, is taken for a text.
export function messageFields() {
  const event = el("input", { value: "new_msg", spellcheck: "false", autocomplete: "off", required: true });
  const data = el("textarea", { rows: 6, spellcheck: "false", autocomplete: "off", class: "code", value: text.sample_data });
  const verdict = el("p", { class: "verdict", role: "status" });
  const tidy = el("button", { type: "button", class: "small", onclick: () => {
    data.value = JSON.stringify(JSON.parse(data.value), null, 2);
    judge();
  } }, text.json_tidy);

  function judge() {
    const { error, words } = read(data.value);
    verdict.textContent = error ?? (words ? text.json_text : text.json_right);
    verdict.dataset.kind = error ? "bad" : "good";
    data.setAttribute("aria-invalid", String(Boolean(error)));
    tidy.disabled = Boolean(error) || words;
  }

  data.addEventListener("input", judge);
  judge();
  return {
    view: el("fieldset", {}, el("legend", {}, text.what), field(text.event, event), field(text.data, data), el("div", { class: "beside" }, verdict, tidy)),
    value() {
      const { error, value } = read(data.value);
      if (error) {
        data.focus();
        throw new Error(error);
      }
      return { event: event.value.trim() || "new_msg", data: value };
    },
  };
}

// read takes JSON, or a plain text for a string.
function read(source) {
  try {
    return { value: JSON.parse(source), words: false };
  } catch (error) {
    if (source.trim() !== "" && !/^\s*["[{\d-]/.test(source)) return { value: source, words: true };
    return { error: text.json_wrong.replace("{why}", error.message) };
  }
}
