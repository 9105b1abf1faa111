// What is wrong, listed before everything else: one entry for all nodes with the same trouble.

import { badge, element } from "/web/element.js";
import { fold } from "/web/nodes.js";

// More entries, or more nodes in one of them, nobody reads.
const MOST_GROUPS = 20;
const MOST_NODES = 64;

export class Troubles {
  #box;
  #choose;
  // The keys of the entries whose nodes are listed.
  #open = new Set();
  #drawn = "";

  constructor(box, choose) {
    this.#box = box;
    this.#choose = choose;
  }

  draw(groups) {
    // Drawn again only if it says something else: who reads it, selects in it or stands in it is not disturbed.
    const says = JSON.stringify(groups.map(({ key, nodes }) => [key, nodes.map((node) => [node.name, text(node)])]));
    if (says === this.#drawn) return;
    this.#drawn = says;
    const focused = document.activeElement;
    const key = focused?.closest(".group")?.dataset.key;
    const entries = groups.slice(0, MOST_GROUPS).map((group) => this.#entry(group));
    const more = groups.length - entries.length;
    this.#box.replaceChildren(...entries, more > 0 ? `and ${more} more: the states above show their nodes` : "");
    const again = entries.find((entry) => key !== undefined && entry.dataset.key === key);
    const places = [...(again?.querySelectorAll("summary, button") ?? [])];
    (places.find((place) => place.textContent === focused.textContent) ?? places[0])?.focus();
  }

  #entry({ key, state, step, what, advice, nodes }) {
    const [first] = nodes;
    const same = nodes.every((node) => text(node) === text(first));
    return element(
      "div",
      { class: "group", "data-state": state, "data-key": key },
      element(
        "h3",
        {},
        badge(state),
        element("span", {}, nodes.length === 1 ? first.name : `${nodes.length} nodes`),
        what === "" ? null : element("code", {}, what),
        step === "" ? null : element("span", { class: "dim" }, `at ${step}`),
      ),
      element("p", {}, same ? text(first) : `${first.name}: ${text(first)}`),
      advice ? element("p", {}, element("strong", {}, "Do: "), advice) : null,
      this.#members(key, nodes),
    );
  }

  #members(key, nodes) {
    const details = element("details", {}, element("summary", { class: "mono" }, fold(nodes.map((node) => node.name))));
    const fill = () => {
      const one = ({ name }) => element("button", { type: "button", onclick: () => this.#choose(name) }, name);
      const buttons = nodes.slice(0, MOST_NODES).map(one);
      const more = nodes.length - buttons.length;
      details.append(element("div", { class: "members" }, ...buttons, more > 0 ? `and ${more} more` : null));
    };
    if (this.#open.has(key)) {
      details.open = true;
      fill();
    }
    details.addEventListener("toggle", () => {
      if (details.open === this.#open.has(key)) return;
      if (details.open) {
        this.#open.add(key);
        fill();
      } else {
        this.#open.delete(key);
        details.querySelector(".members").remove();
      }
    });
    return details;
  }
}

function text(node) {
  if (node.state === "failed") return node.failure?.message ?? "it does not say why";
  const since = node.heard ? `not heard of since ${node.heard}` : "not heard of";
  return node.waiting ? `${since}; it waited for ${node.waiting}` : since;
}
