// The servers of a cluster, or that there is one alone.

import { get } from "./api.js";
import { bytes, el, facts, number, put, row, table, text, time, trouble } from "./dom.js";

export function serversPage() {
  const body = el("div", { "aria-live": "polite" });

  async function load() {
    try {
      const { cluster, redis, store, limits } = await get("stats");
      put(body,
        cluster ? nodes(cluster) : el("p", { class: "card" }, text.alone),
        redis && section(text.redis, {
          [text.state]: redis.up ? text.redis_up : text.redis_down, [text.since]: time(redis.since), [text.redis_lost]: number(redis.lost), [text.redis_pushes]: number(redis.pushes),
        }),
        store && section(text.store, {
          [text.store_bytes]: bytes(store.bytes), [text.store_free]: bytes(store.free), [text.store_commits]: number(store.commits), [text.store_failures]: number(store.failures),
        }, store.error),
        limits && section(text.limits, {
          [text.limit_connections]: limits.connections > 0 ? number(limits.connections) : text.no_limit,
          [text.limit_refused]: number(limits.full + limits.too_many + limits.too_fast + limits.turned_away), [text.limit_slow]: number(limits.slow), [text.limit_put_off]: number(limits.put_off), [text.limit_evicted]: number(limits.evicted),
        }));
    } catch (error) {
      put(body, trouble(error));
    }
  }

  return {
    view: el("div", { class: "page" }, el("div", { class: "head" }, el("h1", {}, text.servers), el("button", { type: "button", onclick: load }, text.reload)), body),
    ready: load,
  };
}

const nodes = (cluster) => [
  table(text.servers, [text.server, ""], cluster.nodes.map((name) => row(el("code", {}, name), name === cluster.node ? el("span", { class: "badge delivered" }, text.this_server) : ""))),
  section(text.cluster, { [text.cluster_partial]: number(cluster.partial), [text.cluster_gaps]: number(cluster.gaps), [text.cluster_lost]: number(cluster.lost) }),
];

const section = (name, values, error) => el("section", { class: "card" }, el("h2", {}, name), facts(Object.entries(values)), error && el("p", { class: "trouble" }, error));
