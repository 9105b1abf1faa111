// The page: asks for the token, gets the nodes, and follows the events to keep them as they are.

import { Api, Refused } from "/web/api.js";
import { Detail } from "/web/detail.js";
import { element } from "/web/element.js";
import { delay } from "/web/events.js";
import { Grid } from "/web/grid.js";
import { STATES, UNDERWAY, counts, fold, long, matcher, troubles } from "/web/nodes.js";
import { Troubles } from "/web/trouble.js";

// In the storage of this tab.
const KEY = "disklessd-token";
const REFUSED = "disklessd-refused";
// In milliseconds. Events that come in a crowd are one question.
const GATHER = 300;
// A node falls silent without an event: those on their way are asked for so often.
const LOOK = 15_000;
// The site's file may have other nodes now: all are asked for so often.
const LOOK_AT_ALL = 300_000;
// A longer node set does not fit into a URL.
const LONGEST_SET = 1500;

const at = (id) => document.getElementById(id);

class Page {
  #api;
  #nodes = new Map();
  #last = 0;
  #ahead = 0;
  #states = new Set();
  #grid;
  #detail;
  #troubles;
  #gathering;
  #refuse = () => {};
  #updating = Promise.resolve();
  #asking = 0;

  constructor(api) {
    this.#api = api;
    this.#grid = new Grid(at("grid"), at("hint"), (name) => this.#choose(name));
    this.#detail = new Detail(at("detail"), api, () => Date.now() + this.#ahead, (name) => {
      this.#grid.choose(undefined);
      this.#grid.focus(name);
    });
    this.#troubles = new Troubles(at("groups"), (name) => this.#choose(name));
    at("filter").addEventListener("input", () => this.#draw());
    at("counts").replaceChildren(...STATES.map((state) => this.#counter(state)));
  }

  #counter(state) {
    const press = (event) => {
      if (!this.#states.delete(state)) this.#states.add(state);
      event.currentTarget.setAttribute("aria-pressed", String(this.#states.has(state)));
      this.#draw();
    };
    const many = element("span", { class: "many" }, "0");
    return element("button", { type: "button", "data-state": state, "aria-pressed": "false", onclick: press }, many, state);
  }

  // Runs until the server refuses the token.
  async run() {
    await this.#first();
    at("ask").hidden = true;
    at("site").hidden = false;
    at("forget").hidden = false;
    setInterval(() => this.#look(() => this.#underway()), LOOK);
    setInterval(() => this.#look(() => this.#all()), LOOK_AT_ALL);
    setInterval(() => this.#detail.running && this.#detail.tick(), 1000);
    const following = this.#api.follow(this.#last, {
      event: () => this.#gather(),
      linked: () => {
        say("on", "live");
        this.#gather();
      },
      broken: (reason, wait) => say("off", `disconnected: ${reason}; next attempt in ${long(wait)}`),
    });
    await Promise.race([following, new Promise((_, reject) => (this.#refuse = reject))]);
  }

  // All nodes, as soon as the server gives them.
  async #first() {
    for (let failed = 0; ; failed++) {
      try {
        return await this.#all();
      } catch (error) {
        if (error instanceof Refused) throw error;
        const wait = delay(failed);
        say("off", `no answer: ${error.message}; next attempt in ${long(wait)}`);
        await new Promise((done) => setTimeout(done, wait));
      }
    }
  }

  // One question at a time, or an old answer may come after a new one.
  #queue(ask) {
    this.#asking++;
    const failed = (error) => {
      // The stream tells of a server that is gone, but not of a token that became another one while it lasts.
      if (error instanceof Refused) this.#refuse(error);
    };
    this.#updating = this.#updating.then(ask).catch(failed).finally(() => this.#asking--);
  }

  // What is asked from time to time is not asked while there is no answer: it would be asked many times at once later.
  #look(ask) {
    if (this.#asking === 0) this.#queue(ask);
  }

  #gather() {
    this.#gathering ??= setTimeout(() => {
      this.#gathering = undefined;
      this.#queue(() => this.#changed());
    }, GATHER);
  }

  async #all() {
    const answer = await this.#api.nodes();
    const names = new Set(answer.nodes.map((node) => node.name));
    for (const name of this.#nodes.keys()) {
      if (names.has(name)) continue;
      this.#nodes.delete(name);
      this.#grid.remove(name);
    }
    this.#take(answer);
  }

  async #changed() {
    this.#take(await this.#api.nodes({ changed_after: this.#last }));
  }

  async #underway() {
    const names = [...this.#nodes.values()].filter((node) => UNDERWAY.has(node.state)).map((node) => node.name);
    if (names.length === 0) return;
    const set = fold(names);
    const { last, ...answer } = await this.#api.nodes(set.length > LONGEST_SET ? {} : { nodes: set });
    // Only of these nodes are all changes up to `last` known.
    this.#take({ ...answer, last: this.#last });
  }

  #take({ last, now, nodes }) {
    this.#last = last;
    this.#ahead = Date.parse(now) - Date.now();
    let added = false;
    for (const node of nodes) {
      added ||= !this.#nodes.has(node.name);
      this.#nodes.set(node.name, node);
      this.#grid.update(node);
    }
    if (added) this.#grid.order();
    this.#draw();
    const chosen = nodes.find((node) => node.name === this.#detail.name);
    if (chosen) this.#detail.update(chosen);
  }

  #draw() {
    const nodes = [...this.#nodes.values()];
    const many = counts(nodes);
    for (const button of at("counts").children) {
      const number = String(many.get(button.dataset.state));
      button.dataset.many = number;
      button.firstChild.textContent = number;
    }
    const named = matcher(at("filter").value);
    const wanted = (node) => (this.#states.size === 0 || this.#states.has(node.state)) && named(node.name);
    const shown = this.#grid.filter(wanted);
    at("shown").textContent = shown === nodes.length ? `${shown} nodes` : `${shown} of ${nodes.length} nodes`;
    const groups = troubles(nodes.filter(wanted));
    at("trouble").hidden = groups.length === 0;
    this.#troubles.draw(groups);
    const bad = many.get("failed") + many.get("silent");
    document.title = bad > 0 ? `(${bad}) disklessd` : "disklessd";
  }

  #choose(name) {
    this.#grid.choose(name);
    this.#detail.open(this.#nodes.get(name));
  }
}

function say(link, text) {
  const line = at("link");
  // Said once, a screen reader does not repeat it.
  if (line.textContent !== text) line.textContent = text;
  line.dataset.link = link;
}

function ask(refusal) {
  at("site").hidden = true;
  at("forget").hidden = true;
  at("ask").hidden = false;
  at("refusal").textContent = refusal;
  at("token").value = "";
  at("token").focus();
  say("off", "no token");
}

async function start() {
  const token = sessionStorage.getItem(KEY);
  if (token === null) return ask(sessionStorage.getItem(REFUSED) ?? "");
  say("off", "asking for the nodes");
  try {
    await new Page(new Api(token)).run();
  } catch (error) {
    restart(null, error.message);
  }
}

// Begins from the start, so that nothing of the page before goes on.
function restart(token, refusal = "") {
  if (token === null) sessionStorage.removeItem(KEY);
  else sessionStorage.setItem(KEY, token);
  sessionStorage.setItem(REFUSED, refusal);
  location.reload();
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  restart(at("token").value.trim());
});
at("forget").addEventListener("click", () => restart(null));
start();
