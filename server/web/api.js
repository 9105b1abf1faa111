// Talks with the server; the token goes into a header and nowhere else.

import { QUIET, Reader, delay } from "/web/events.js";

// The server does not know the token. It answers as if there were nothing there.
export class Refused extends Error {}

// An answer that takes longer is none.
const PATIENCE = 20_000;

export class Api {
  #token;

  constructor(token) {
    this.#token = token;
  }

  #headers() {
    return { Authorization: `Bearer ${this.#token}` };
  }

  // The answer as JSON; null: there is no such thing.
  async get(path) {
    const response = await fetch(path, {
      headers: this.#headers(),
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (response.status === 404 || response.status === 401) return null;
    if (!response.ok) throw new Error(`the server says ${response.status}`);
    return response.json();
  }

  // Nodes: all, or those of the node set `nodes`, or those with changes after `changed_after`.
  async nodes(which = {}) {
    const answer = await this.get(`/v1/nodes?${new URLSearchParams(which)}`);
    if (answer === null) throw new Refused("the server does not know this token");
    return answer;
  }

  timeline(node, boot) {
    const query = boot === undefined ? "" : `?boot=${encodeURIComponent(boot)}`;
    return this.get(`/v1/nodes/${encodeURIComponent(node)}/timeline${query}`);
  }

  boots(node) {
    return this.get(`/v1/nodes/${encodeURIComponent(node)}/boots`);
  }

  // Follows the events after the one with the id `last` for ever, and comes back after every break. Tells `on.event` of
  // each, `on.linked` when it hears the server, `on.broken` of the reason and of how long it waits. Ends with Refused.
  async follow(last, on) {
    const place = { last };
    for (let failed = 0; ; failed++) {
      let reason = "the server closed the connection";
      try {
        await this.#listen(place, on, () => (failed = 0));
      } catch (error) {
        if (error instanceof Refused) throw error;
        reason = error.name === "AbortError" ? "the server says nothing" : error.message;
      }
      const wait = delay(failed);
      on.broken(reason, wait);
      await new Promise((done) => setTimeout(done, wait));
    }
  }

  async #listen(place, on, linked) {
    const quiet = new AbortController();
    let timer = setTimeout(() => quiet.abort(), QUIET);
    try {
      const headers = { ...this.#headers(), Accept: "text/event-stream", "Last-Event-ID": String(place.last) };
      const response = await fetch("/v1/events", { headers, cache: "no-store", signal: quiet.signal });
      if (response.status === 404 || response.status === 401) throw new Refused("the server does not know this token");
      if (!response.ok) throw new Error(`the server says ${response.status}`);
      linked();
      on.linked();
      const reader = new Reader();
      const pieces = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await pieces.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(() => quiet.abort(), QUIET);
        for (const event of reader.read(value)) {
          if (event.id !== "") place.last = event.id;
          on.event(event);
        }
      }
    } finally {
      clearTimeout(timer);
      quiet.abort();
    }
  }
}
