// Server-sent events over fetch: EventSource cannot send the token in a header, and a URL is no place for it.

// Reads a stream of text piece by piece (https://html.spec.whatwg.org/multipage/server-sent-events.html): gives the
// events that each piece completes, as {id, data}.
export class Reader {
  #rest = "";
  #id = "";
  #data = [];

  read(piece) {
    const events = [];
    this.#rest += piece;
    // A CR at the end may be the first half of a CRLF.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) events.push({ id: this.#id, data: this.#data.join("\n") });
        this.#data = [];
        continue;
      }
      const [, field, value] = /^([^:]*)(?:: ?(.*))?$/s.exec(line);
      if (field === "data") this.#data.push(value ?? "");
      if (field === "id" && !value?.includes("\0")) this.#id = value ?? "";
    }
    return events;
  }
}

// How long to wait before the attempt after so many failed ones: it doubles up to half a minute, and is anything
// between half of that and all of it, so that many pages do not come back at once.
export function delay(failed, random = Math.random()) {
  const most = Math.min(30_000, 1000 * 2 ** Math.min(failed, 10));
  return most / 2 + (most / 2) * random;
}

// A server that says nothing for so long, not even a comment, is gone.
export const QUIET = 45_000;
