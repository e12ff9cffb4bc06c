// The samples of the server's figures, as they are taken: an event stream.

import { alive, stream } from "./api.js";

const kept = 900; // samples, as many as the server keeps

// Live gathers samples, and tells of them in one go however many arrive at once.
export class Live {
  #ended = new AbortController();
  #samples = [];
  #last = "";
  #timer = 0;
  #told;

  // told has sample(list) and state("live" | "lost").
  constructor(told) {
    this.#told = told;
  }

  // start follows the stream until stop, and begins again when it breaks off, as long as somebody is signed in.
  async start() {
    const { signal } = this.#ended;
    while (!signal.aborted) {
      try {
        await stream("stats/live", this.#last, signal, () => this.#told.state("live"), (id, sample) => {
          this.#last = id;
          this.#add(sample);
        });
      } catch (error) {
        if (signal.aborted) return;
        if (error.code) await alive();
      }
      this.#told.state("lost");
      await new Promise((later) => setTimeout(later, 2000));
    }
  }

  stop() {
    this.#ended.abort();
    clearTimeout(this.#timer);
  }

  #add(sample) {
    this.#samples.push(sample);
    if (this.#samples.length > kept) this.#samples.shift();
    this.#timer ||= setTimeout(() => {
      this.#timer = 0;
      this.#told.sample(this.#samples);
    }, 40);
  }
}

// at is when a sample was taken, in seconds.
export const at = (sample) => Date.parse(sample.time) / 1000;

// perSecond is how fast a count grew up to each sample; null where that cannot be told, as when the server has begun anew.
export function perSecond(samples, count) {
  return samples.map((one, i) => {
    if (i === 0) return null;
    const grown = count(one) - count(samples[i - 1]);
    const time = at(one) - at(samples[i - 1]);
    return grown >= 0 && time > 0 ? grown / time : null;
  });
}

// byKind adds up sockets by a word for their kind: kinds, and a column for each.
export function byKind(samples, word) {
  const kinds = new Map();
  samples.forEach((one, i) => {
    for (const socket of one.sockets) {
      const kind = word(socket);
      if (!kinds.has(kind)) kinds.set(kind, new Array(samples.length).fill(0));
      kinds.get(kind)[i] += socket.count;
    }
  });
  return [...kinds].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, column]) => ({ label: kind, column }));
}
