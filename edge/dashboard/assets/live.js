// The document, over and over: pushed by the server, and asked for when nothing is pushed.

import { ago } from "./format.js";

const TICK_MS = 1000;
/** Two buckets and some: later than that, nothing is on its way. */
const LATE_MS = 12_000;
const POLL_MS = 5_000;
/** A stream that was refused is tried again this often. */
const REOPEN_MS = 15_000;

const WORDS = { live: "Live", polling: "Polling", late: "Disconnected", waiting: "Connecting" };

export class Live {
  #accept;
  #show;
  #query = "";
  #source = null;
  #abort = null;
  #newsAt = null;
  #askedAt = 0;
  #openedAt = 0;
  #pushedAt = 0;
  #problem = "";

  /** `accept` takes each document; `show` takes the state, its words, and what is wrong. */
  constructor(accept, show) {
    this.#accept = accept;
    this.#show = show;
    setInterval(() => this.#tick(), TICK_MS);
  }

  /** Follows another range or node from now on. */
  watch(rangeS, node) {
    const query = new URLSearchParams({ range_s: rangeS });
    if (node) query.set("node", node);
    this.#query = query.toString();
    this.#abort?.abort();
    this.#newsAt = null;
    this.#pushedAt = performance.now();
    this.#ask();
    this.#open();
  }

  #open() {
    this.#source?.close();
    this.#openedAt = performance.now();
    const source = new EventSource(`/dashboard/live?${this.#query}`);
    source.addEventListener("data", (event) => {
      this.#pushedAt = performance.now();
      this.#arrived(JSON.parse(event.data));
    });
    source.addEventListener("problem", (event) => this.#failed(event.data));
    this.#source = source;
  }

  async #ask() {
    this.#askedAt = performance.now();
    const abort = new AbortController();
    this.#abort = abort;
    try {
      const signal = AbortSignal.any([abort.signal, AbortSignal.timeout(LATE_MS)]);
      const response = await fetch(`/dashboard/data?${this.#query}`, { signal });
      const body = await response.json();
      if (abort.signal.aborted) return;
      if (response.ok) this.#arrived(body);
      else this.#failed(body.detail ?? `status ${response.status}`);
    } catch (error) {
      if (!abort.signal.aborted) this.#failed(error instanceof TypeError ? "" : error.message);
    }
  }

  #failed(problem) {
    this.#problem = problem;
    this.#tell();
  }

  #isOpen() {
    return this.#source?.readyState !== EventSource.CLOSED;
  }

  #arrived(document) {
    this.#newsAt = performance.now();
    this.#problem = "";
    this.#accept(document);
    this.#tell();
  }

  #state() {
    const now = performance.now();
    if (this.#newsAt === null) return "waiting";
    if (now - this.#newsAt > LATE_MS) return "late";
    return this.#isOpen() && now - this.#pushedAt < LATE_MS ? "live" : "polling";
  }

  #tick() {
    const now = performance.now();
    if (this.#state() !== "live" && now - this.#askedAt >= POLL_MS) this.#ask();
    if (!this.#isOpen() && now - this.#openedAt >= REOPEN_MS) this.#open();
    this.#tell();
  }

  #tell() {
    const state = this.#state();
    const since = this.#newsAt === null ? "" : `updated ${ago(this.#newsAt, performance.now())}`;
    this.#show(state, [WORDS[state], since].filter(Boolean).join(" · "), this.#problem);
  }
}
