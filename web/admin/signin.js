// The form to sign in with a key, which is nowhere kept.

import { signIn } from "./api.js";
import { el, field, text, trouble } from "./dom.js";

export function signInPage(session, done) {
  const key = el("input", { type: "password", name: "key", autocomplete: "current-password", required: true, spellcheck: "false" });
  const button = el("button", { type: "submit" }, text.sign_in);
  const said = el("div", {});
  const form = el("form", { class: "card signin", novalidate: true }, el("h1", {}, text.sign_in_title),
    session.keys ? [field(text.key, key, text.key_hint), said, button] : [el("p", {}, text.no_keys), el("p", { class: "hint" }, session.reason)]);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    said.replaceChildren();
    try {
      const made = await signIn(key.value.trim());
      key.value = "";
      done(made);
    } catch (error) {
      said.replaceChildren(trouble(error));
      button.disabled = false;
      key.select();
    }
  });
  return { view: form, ready: () => key.focus() };
}
