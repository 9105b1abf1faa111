// What is wrong, listed before everything else: one entry for all nodes with the same trouble.

import { badge, element } from "/web/element.js";
import { fold } from "/web/nodes.js";

// More entries, or more nodes in one of them, nobody reads.
const MOST_GROUPS = 20;
const MOST_NODES = 64;

// The entries; `open` has the keys of those whose nodes are listed, and is kept so.
export function troubleList(groups, open, choose) {
  const shown = groups.slice(0, MOST_GROUPS).map((group) => entry(group, open, choose));
  const more = groups.length - shown.length;
  return more > 0 ? [...shown, element("p", { class: "dim" }, `and ${more} more; the states above show their nodes`)] : shown;
}

function entry({ key, state, step, what, advice, nodes }, open, choose) {
  const many = nodes.length === 1 ? nodes[0].name : `${nodes.length} nodes`;
  const [first] = nodes;
  const message = state === "failed" ? first.failure?.message : silence(first);
  const same = nodes.length === 1 || nodes.every((node) => node.failure?.message === first.failure?.message);
  return element(
    "div",
    { class: "group", "data-state": state },
    element(
      "h3",
      {},
      badge(state),
      element("span", {}, many),
      what === "" ? null : element("code", {}, what),
      step === "" ? null : element("span", { class: "dim" }, `at ${step}`),
    ),
    message ? element("p", {}, same || state === "silent" ? message : `${first.name}: ${message}`) : null,
    advice ? element("p", {}, element("strong", {}, "Do: "), advice) : null,
    members(key, nodes, open, choose),
  );
}

function silence(node) {
  const since = node.heard ? `not heard of since ${node.heard}` : "not heard of";
  return node.waiting ? `${since}; it waited for ${node.waiting}` : since;
}

function members(key, nodes, open, choose) {
  const details = element("details", {}, element("summary", { class: "mono" }, fold(nodes.map((node) => node.name))));
  const fill = () => {
    const buttons = nodes.slice(0, MOST_NODES).map(({ name }) =>
      element("button", { type: "button", onclick: () => choose(name) }, name),
    );
    const more = nodes.length - buttons.length;
    details.append(element("div", { class: "members" }, ...buttons, more > 0 ? `and ${more} more` : null));
  };
  if (open.has(key)) {
    details.open = true;
    fill();
  }
  details.addEventListener("toggle", () => {
    if (details.open === open.has(key)) return;
    if (details.open) {
      open.add(key);
      fill();
    } else {
      open.delete(key);
      details.querySelector(".members")?.remove();
    }
  });
  return details;
}
