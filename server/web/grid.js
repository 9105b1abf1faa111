// The nodes as small cells: one element a node, made once and changed in place.

import { byName } from "/web/nodes.js";

export class Grid {
  #box;
  #hint;
  #cells = new Map();
  #nodes = new Map();
  #chosen;

  constructor(box, hint, choose) {
    this.#box = box;
    this.#hint = hint;
    box.addEventListener("click", (event) => {
      const name = event.target.dataset?.name;
      if (name !== undefined) choose(name);
    });
    box.addEventListener("keydown", (event) => this.#key(event));
    for (const kind of ["mouseover", "focusin"]) {
      box.addEventListener(kind, (event) => this.#describe(event.target.dataset?.name));
    }
  }

  // Shows `node` as it is now; false: it is a new one, and the cells have to be put in order.
  update(node) {
    const cell = this.#cells.get(node.name) ?? this.#make(node.name);
    this.#nodes.set(node.name, node);
    if (cell.dataset.state !== node.state) {
      cell.dataset.state = node.state;
      cell.setAttribute("aria-label", `${node.name} ${node.state}`);
    }
  }

  remove(name) {
    this.#cells.get(name)?.remove();
    this.#cells.delete(name);
    this.#nodes.delete(name);
  }

  #make(name) {
    const cell = document.createElement("button");
    cell.type = "button";
    cell.className = "cell";
    cell.dataset.name = name;
    cell.tabIndex = -1;
    cell.setAttribute("role", "option");
    cell.setAttribute("aria-selected", "false");
    this.#cells.set(name, cell);
    return cell;
  }

  // Brings new cells to their places.
  order() {
    const names = [...this.#cells.keys()].sort(byName);
    this.#box.append(...names.map((name) => this.#cells.get(name)));
  }

  // Shows only the nodes that `wanted` says; gives how many.
  filter(wanted) {
    let shown = 0;
    for (const [name, cell] of this.#cells) {
      const hidden = !wanted(this.#nodes.get(name));
      if (cell.hidden !== hidden) cell.hidden = hidden;
      if (!hidden) shown++;
    }
    this.#keepReachable();
    return shown;
  }

  // Marks the node whose boot is shown; none: undefined.
  choose(name) {
    this.#cells.get(this.#chosen)?.setAttribute("aria-selected", "false");
    this.#chosen = name;
    this.#cells.get(name)?.setAttribute("aria-selected", "true");
  }

  focus(name) {
    const cell = this.#cells.get(name);
    if (cell && !cell.hidden) this.#focus(cell);
  }

  // The tab key stops once at the grid, not at each of thousands of cells: one of them can be reached by it.
  #keepReachable() {
    const reachable = this.#box.querySelector(".cell[tabindex='0']");
    if (reachable && !reachable.hidden) return;
    if (reachable) reachable.tabIndex = -1;
    const first = this.#box.querySelector(".cell:not([hidden])");
    if (first) first.tabIndex = 0;
  }

  #focus(cell) {
    const reachable = this.#box.querySelector(".cell[tabindex='0']");
    if (reachable) reachable.tabIndex = -1;
    cell.tabIndex = 0;
    cell.focus();
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || !event.target.classList.contains("cell")) return;
    const cells = [...this.#box.children].filter((cell) => !cell.hidden);
    const at = cells.indexOf(event.target);
    const columns = cells.filter((cell) => cell.offsetTop === cells[0].offsetTop).length;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, Home: -at, End: cells.length - 1 - at };
    const step = steps[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const next = cells[at + step];
    if (next) this.#focus(next);
  }

  #describe(name) {
    const node = this.#nodes.get(name);
    if (!node) return;
    const more = node.failure?.code ?? node.waiting ?? node.step;
    this.#hint.textContent = [name, node.state, more].filter(Boolean).join(" · ");
  }
}
