// One node: how it is, and a boot of it as bars.

import { badge, element } from "/web/element.js";
import { UNDERWAY, long } from "/web/nodes.js";

// How a bar ended, where that is worth a word.
const OUTCOMES = { failed: "failed", running: "running", unknown: "how it ended was not heard" };

export class Detail {
  #box;
  #api;
  #clock;
  #closed;
  #node;
  #boot;
  #boots = [];
  #timeline;
  #asked = 0;

  // `clock` gives the server's time in milliseconds; `closed` is told when the panel is closed.
  constructor(box, api, clock, closed) {
    this.#box = box;
    this.#api = api;
    this.#clock = clock;
    this.#closed = closed;
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  get name() {
    return this.#node?.name;
  }

  get running() {
    return UNDERWAY.has(this.#node?.state) && this.#timeline?.bars.some((bar) => bar.outcome === "running");
  }

  async open(node) {
    this.#node = node;
    this.#boot = undefined;
    this.#boots = [];
    this.#timeline = undefined;
    this.#box.hidden = false;
    this.draw();
    this.#box.focus();
    await this.load();
  }

  close() {
    const { name } = this;
    this.#node = undefined;
    this.#box.hidden = true;
    this.#box.replaceChildren();
    this.#closed(name);
  }

  // The node as it is now; its newest boot may have gone on.
  async update(node) {
    this.#node = node;
    await this.load();
  }

  // Asks the server for the boot that is chosen. An answer that comes after a later question is dropped.
  async load() {
    const asked = ++this.#asked;
    const { name, boot } = this.#node;
    let found = [];
    let problem;
    try {
      if (boot) found = await Promise.all([this.#api.boots(name), this.#api.timeline(name, this.#boot)]);
    } catch (error) {
      problem = error.message;
    }
    if (asked !== this.#asked || this.name !== name) return;
    if (problem === undefined) {
      this.#boots = found[0]?.boots ?? [];
      this.#timeline = found[1] ?? { began: "", bars: [], marks: [] };
    }
    this.draw(problem);
  }

  // Draws what grows by itself.
  tick() {
    this.#box.querySelector(".bars")?.replaceWith(this.#bars());
  }

  draw(problem) {
    const node = this.#node;
    if (node === undefined) return;
    // What is drawn again must not lose the keyboard's place, nor close a list that is being chosen from.
    const focused = document.activeElement?.id;
    if (focused === "boots" && this.#boots.length === this.#box.querySelector("#boots")?.length) {
      this.tick();
      return;
    }
    const close = element("button", { id: "close", type: "button", onclick: () => this.close() }, "Close");
    const parts = [
      element("div", { class: "title" }, element("h2", { id: "detail-title" }, node.name), badge(node.state), close),
      facts(node, this.#clock()),
      this.#chooser(),
      problem ? element("p", { role: "alert" }, `No timeline: ${problem}`) : null,
      this.#timeline ? this.#bars() : element("p", { class: "dim" }, "asking for the timeline"),
    ];
    this.#box.replaceChildren(...parts.filter((part) => part !== null));
    if (focused === "close" || focused === "boots") this.#box.querySelector(`#${focused}`)?.focus();
  }

  #chooser() {
    if (this.#boots.length === 0) return null;
    const options = this.#boots.map((boot, index) => {
      const end = boot.failure ? `failed ${boot.failure.code}` : boot.stage;
      const text = `${boot.began} ${end}${index === 0 ? " (newest)" : ""}`;
      return element("option", { value: String(boot.number), selected: String(boot.number) === this.#boot }, text);
    });
    const select = element("select", { id: "boots" }, ...options);
    select.addEventListener("change", () => {
      // The newest one stays the newest one, also when the node boots again.
      this.#boot = select.selectedIndex === 0 ? undefined : select.value;
      this.load();
    });
    return element("p", {}, element("label", { for: "boots" }, "Boot "), select);
  }

  #bars() {
    const { began, bars, marks } = this.#timeline;
    // What is under way goes on until now, but in a boot that nothing more is heard of.
    const chosen = this.#boots.find((boot) => String(boot.number) === this.#boot) ?? this.#boots[0];
    const goesOn = this.#boot === undefined && UNDERWAY.has(this.#node.state);
    const now = Math.max(0, (goesOn ? this.#clock() : Date.parse(chosen?.heard)) - Date.parse(began) || 0);
    // A bar whose end was not heard ends where it was last known to be.
    const last = (bar) => Math.max(bar.began_ms, ...bar.waits.map((wait) => wait.ended_ms ?? wait.began_ms));
    const end = (bar) => bar.ended_ms ?? (bar.outcome === "running" ? Math.max(now, bar.began_ms) : last(bar));
    const rows = [
      ...bars.map((bar) => ({ ...bar, at: bar.began_ms, end: end(bar) })),
      ...marks.map((mark) => ({ ...mark, at: mark.at_ms, end: mark.at_ms })),
    ].sort((a, b) => a.at - b.at);
    if (rows.length === 0) return element("p", { class: "bars dim" }, "Nothing was heard of a boot.");
    const whole = Math.max(1, ...rows.map((row) => row.end));
    const list = rows.map((row) => (row.kind === undefined ? barLine(row, whole) : markLine(row, whole)));
    return element("ol", { class: "bars", "aria-label": `Boot, ${long(whole)} in all` }, ...list);
  }
}

function barLine(bar, whole) {
  const waits = bar.waits.map((wait) => piece("wait", wait.began_ms, wait.ended_ms ?? bar.end, whole));
  const length = bar.outcome === "unknown" && bar.ended_ms === null ? "" : long(bar.end - bar.at);
  const notes = [OUTCOMES[bar.outcome], ...bar.waits.map((wait) => `waited for ${wait.what}`)];
  return line(bar.outcome, bar.name, [piece("bar", bar.at, bar.end, whole), ...waits], length, notes);
}

function markLine(mark, whole) {
  return line(undefined, mark.kind, [piece("tick", mark.at, mark.at, whole)], `at ${long(mark.at)}`, [mark.text]);
}

function piece(kind, from, to, whole) {
  const made = element("div", { class: kind });
  made.style.left = `${((100 * from) / whole).toFixed(3)}%`;
  if (kind !== "tick") made.style.width = `${((100 * (to - from)) / whole).toFixed(3)}%`;
  return made;
}

function line(outcome, name, pieces, length, notes) {
  return element(
    "li",
    { "data-outcome": outcome },
    element("span", {}, name),
    element("div", { class: "track", "aria-hidden": "true" }, ...pieces),
    element("span", { class: "long" }, length),
    ...notes.filter(Boolean).map((note) => element("p", { class: "notes" }, note)),
  );
}

function facts(node, now) {
  const ago = (time) => (time ? `${time} (${long(now - Date.parse(time))} ago)` : null);
  const wanted = node.wanted && `${node.wanted.action}${node.wanted.once ? ", for the next boot" : ""}, since ${node.wanted.at}`;
  const list = [
    ["in this state since", ago(node.since)],
    ["last heard", ago(node.heard)],
    ["step", node.step],
    ["waits for", node.waiting],
    ["code", node.failure && element("code", {}, node.failure.code)],
    ["message", node.failure?.message],
    ["what to do", node.failure?.advice],
    ["wanted", wanted ?? "what the site's file says"],
    ["boot id", node.boot?.boot_id && element("code", {}, node.boot.boot_id)],
  ];
  const rows = list.filter(([, value]) => value).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]);
  return element("dl", {}, ...rows);
}
