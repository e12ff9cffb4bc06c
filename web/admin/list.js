// A list that the server gives page by page, with a search by how names begin. However many there are, one page is shown.

import { get } from "./api.js";
import { el, fill, number, text, trouble } from "./dom.js";

// pagedList shows what path answers. read takes a list from an answer, draw makes an element of one; search is the label of a
// search field, if the path can search. reload shows the first page again.
export function pagedList({ path, read, draw, search, empty, size = 100 }) {
  const body = el("div", { class: "list", "aria-busy": "false" });
  const said = el("p", { class: "unseen", role: "status" });
  const before = el("button", { type: "button", onclick: () => turn(-1) }, text.page_before);
  const next = el("button", { type: "button", onclick: () => turn(1) }, text.page_next);
  const where = el("span", { class: "hint" });
  const pager = el("nav", { class: "pager", "aria-label": text.pages, hidden: true }, before, where, next);
  const input = search && el("input", { type: "search", autocomplete: "off", spellcheck: "false", "aria-label": search, placeholder: search });
  let cursors = [""];
  let asked = 0;

  async function load() {
    const mine = ++asked;
    body.setAttribute("aria-busy", "true");
    const query = new URLSearchParams({ limit: size });
    if (cursors.at(-1)) query.set("cursor", cursors.at(-1));
    if (input?.value) query.set("prefix", input.value);
    try {
      const answer = await get(`${path}${path.includes("?") ? "&" : "?"}${query}`);
      if (mine !== asked) return;
      const items = read(answer);
      body.replaceChildren(...(items.length > 0 ? [draw(items, answer)].flat() : [el("p", { class: "empty" }, empty)]));
      said.textContent = fill(text.entries, { n: number(items.length) });
      if (answer.partial) body.prepend(el("p", { class: "trouble" }, text.partial));
      next.dataset.cursor = answer.next ?? "";
      next.disabled = !answer.next;
      before.disabled = cursors.length === 1;
      pager.hidden = next.disabled && before.disabled;
      where.textContent = fill(text.page_number, { n: number(cursors.length) });
    } catch (error) {
      if (mine !== asked) return;
      if (error.code === "invalid_cursor" && cursors.length > 1) return reload(); // the server has begun anew
      body.replaceChildren(trouble(error));
    } finally {
      if (mine === asked) body.setAttribute("aria-busy", "false");
    }
  }

  function turn(by) {
    if (by > 0) cursors.push(next.dataset.cursor);
    else cursors.pop();
    return load();
  }

  function reload() {
    cursors = [""];
    return load();
  }

  let typing = 0;
  input?.addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(reload, 200);
  });
  return { view: el("div", { class: "paged" }, input && el("div", { class: "search" }, input), said, body, pager), reload };
}
