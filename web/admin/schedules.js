// Timed pushes: those there are, and a new one.

import { call, may, pathOf } from "./api.js";
import { audienceFields } from "./audience.js";
import { el, field, fill, notify, number, put, text, time, trouble } from "./dom.js";
import { pagedList } from "./list.js";
import { messageFields } from "./message.js";

const kinds = { delay: text.when_delay, every: text.when_every, cron: text.when_cron, at: text.when_at };
const samples = { delay: "10m", every: "1h", cron: "0 8 * * MON-FRI", at: "2030-12-24T18:00:00" };
const hints = { delay: text.delay_hint, every: text.every_hint, cron: text.cron_hint, at: text.at_hint };

export function schedulesPage() {
  const list = pagedList({
    path: "schedules", size: 50, empty: text.no_schedules, read: (answer) => answer.schedules, draw: (all) => all.map((one) => card(one, list.reload)),
  });
  const form = newSchedule(list.reload);
  return {
    view: el("div", { class: "page" },
      el("div", { class: "head" }, el("h1", {}, text.schedules), el("button", { type: "button", onclick: () => list.reload() }, text.reload)),
      may("push") && el("details", { class: "card" }, el("summary", {}, text.schedule_new), form),
      may("read") && list.view),
    ready: () => may("read") && list.reload(),
  };
}

// card shows one schedule.
function card(one, changed) {
  const when = Object.keys(kinds).find((kind) => one[kind]);
  const act = (words, method, path, sure) => el("button", { type: "button", class: `small${method === "DELETE" ? " danger" : ""}`, onclick: async () => {
    if (sure && !confirm(sure)) return;
    try {
      await call(method, path);
      await changed();
      notify(text.done);
    } catch (error) {
      notify(error.message, "bad");
    }
  } }, words);
  const path = pathOf("schedules", one.id);
  return el("article", { class: "card schedule" },
    el("div", { class: "head" }, el("h2", { class: "name" }, one.id, one.paused && el("span", { class: "badge" }, text.paused)),
      may("push") && el("div", { class: "actions" },
        one.paused ? act(text.resume, "POST", `${path}/resume`) : act(text.pause, "POST", `${path}/pause`),
        act(text.remove, "DELETE", path, text.remove_sure.replace("{id}", one.id)))),
    el("p", {}, kinds[when], " ", el("code", {}, one[when]), one.timezone && one.timezone !== "UTC" && ` ${one.timezone}`,
      " · ", fill(text.runs, { n: number(one.runs) }), one.last && [" · ", text.last_run, " ", time(one.last)]),
    one.error && el("p", { class: "trouble" }, one.error),
    el("details", {}, el("summary", {}, text.schedule_push), el("pre", { class: "code" }, JSON.stringify(one.push, null, 2))),
    !one.paused && one.next_runs?.length > 0 && el("div", {}, el("h3", {}, text.next_runs), el("ol", { class: "runs" }, one.next_runs.map((run) => el("li", {}, time(run))))));
}

// newSchedule is the form for another one.
function newSchedule(made) {
  const to = audienceFields();
  const message = messageFields();
  const kind = el("select", {}, Object.entries(kinds).map(([value, words]) => el("option", { value }, words)));
  const when = el("input", { required: true, autocomplete: "off", spellcheck: "false", value: samples.delay });
  const whenField = field(text.when_value, when, hints.delay);
  const zone = el("input", { autocomplete: "off", spellcheck: "false", value: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC" });
  const id = el("input", { autocomplete: "off", spellcheck: "false", maxlength: 128 });
  const said = el("div", { "aria-live": "polite" });
  kind.addEventListener("change", () => {
    when.value = samples[kind.value];
    whenField.querySelector(".hint").textContent = hints[kind.value];
  });
  return el("form", { onsubmit: async (event) => {
    event.preventDefault();
    try {
      const body = { push: { to: to.value(), ...message.value() }, [kind.value]: when.value.trim() };
      if (zone.value.trim() && (kind.value === "cron" || kind.value === "at")) body.timezone = zone.value.trim();
      const answer = await (id.value ? call("PUT", pathOf("schedules", id.value), body) : call("POST", "schedules", body));
      put(said);
      notify(text.schedule_made.replace("{id}", answer.id));
      await made();
    } catch (error) {
      put(said, trouble(error));
    }
  } }, el("div", { class: "columns" }, field(text.when, kind), whenField, field(text.timezone, zone), field(text.schedule_id, id, text.schedule_id_hint)),
  to.view, message.view, said, el("div", { class: "actions" }, el("button", { type: "submit", class: "main" }, text.schedule_make)));
}
