// Decides: what is shown of the nodes, and in which order. Nothing here touches the page.

// In the order of a look at three in the morning: what is wrong, what is on its way, what is done.
export const STATES = ["failed", "silent", "ipxe", "kernel", "agent", "never", "up", "cloudinit"];

// A node in one of these may fall silent, of which no event tells.
export const UNDERWAY = new Set(["ipxe", "kernel", "agent"]);

const collator = new Intl.Collator("en", { numeric: true });

// ocean2 comes before ocean10.
export function byName(a, b) {
  return collator.compare(a, b);
}

export function counts(nodes) {
  const many = new Map(STATES.map((state) => [state, 0]));
  for (const node of nodes) many.set(node.state, (many.get(node.state) ?? 0) + 1);
  return many;
}

// Names as a node set: ocean[1-3,7],login. Only the last number of a name is folded.
export function fold(names) {
  const parted = [...new Set(names)].sort(byName).map((name) => {
    const [, before, digits, after] = /^(.*?)([0-9]{1,15})([^0-9]*)$/s.exec(name) ?? [];
    return { name, before, digits, after, like: JSON.stringify([before, after, digits?.length]) };
  });
  // With n08 there, n10 has two digits because all have: both are of n[08-10].
  const padded = new Set(parted.filter(({ digits }) => /^0./.test(digits)).map(({ like }) => like));
  const families = new Map();
  for (const { name, before, digits, after, like } of parted) {
    const width = padded.has(like) ? digits.length : 0;
    const key = digits === undefined ? name : JSON.stringify([before, after, width]);
    const family = families.get(key) ?? { name, before, after, width, numbers: [] };
    if (digits !== undefined) family.numbers.push(Number(digits));
    families.set(key, family);
  }
  return [...families.values()].map(foldFamily).join(",");
}

function foldFamily({ name, before, after, width, numbers }) {
  if (numbers.length < 2) return name;
  const ranges = [];
  for (const number of numbers.sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last && last[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  const padded = (number) => String(number).padStart(width, "0");
  const texts = ranges.map(([from, to]) => (from === to ? padded(from) : `${padded(from)}-${padded(to)}`));
  return `${before}[${texts.join(",")}]${after}`;
}

// A test for names: of a node set if the text has brackets, commas or stars, else of a part of the name.
export function matcher(text) {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return () => true;
  if (!/[[\],*]/.test(wanted)) return (name) => name.toLowerCase().includes(wanted);
  const patterns = (wanted.match(/(?:\[[^\]]*\]?|[^,[])+/g) ?? []).map(pieces);
  return (name) => patterns.some((pattern) => fits(name.toLowerCase(), pattern));
}

// "a[1-3]b*" as ["a", [[1, 3]], "b", "*"]; a bracket that is not closed yet ends at the end of the text.
function pieces(pattern) {
  return (pattern.match(/\[[^\]]*\]?|\*|[^[*]+/g) ?? []).map((piece) => {
    if (!piece.startsWith("[")) return piece.trim();
    return piece
      .replace(/[[\]]/g, "")
      .split(",")
      .map((range) => /^\s*([0-9]{1,15})(?:-([0-9]{1,15}))?\s*$/.exec(range))
      .filter((range) => range !== null)
      .map(([, from, to]) => ({ from: Number(from), to: Number(to ?? from), width: from.startsWith("0") ? from.length : 0 }));
  });
}

function fits(name, [piece, ...rest]) {
  if (piece === undefined) return name === "";
  if (piece === "*") return rest.length === 0 || [...name, ""].some((_, at) => fits(name.slice(at), rest));
  if (typeof piece === "string") return name.startsWith(piece) && fits(name.slice(piece.length), rest);
  const digits = /^[0-9]{1,15}/.exec(name)?.[0];
  if (digits === undefined) return false;
  const number = Number(digits);
  const within = ({ from, to, width }) => number >= from && number <= to && (width === 0 || digits.length === width);
  return piece.some(within) && fits(name.slice(digits.length), rest);
}

// What is wrong, one entry for all nodes with the same trouble: four thousand nodes that miss one server are one line.
// The largest first, failed before silent.
export function troubles(nodes) {
  const groups = new Map();
  for (const node of nodes) {
    if (node.state !== "failed" && node.state !== "silent") continue;
    const failure = node.state === "failed" ? node.failure : null;
    const step = failure?.step ?? node.step ?? node.stage ?? "";
    const what = failure?.code ?? (node.state === "silent" ? node.waiting ?? "" : "");
    const key = JSON.stringify([node.state, step, what]);
    const group = groups.get(key) ?? { key, state: node.state, step, what, advice: failure?.advice ?? "", nodes: [] };
    group.nodes.push(node);
    groups.set(key, group);
  }
  const order = (a, b) =>
    STATES.indexOf(a.state) - STATES.indexOf(b.state) || b.nodes.length - a.nodes.length || byName(a.step, b.step);
  return [...groups.values()].sort(order);
}

// A length of time in at most two units: 840 ms, 12.3 s, 4 min 10 s, 3 h 5 min, 2 d 4 h.
export function long(ms) {
  if (!Number.isFinite(ms)) return "";
  const left = Math.max(0, ms);
  if (left < 1000) return `${Math.round(left)} ms`;
  if (left < 59_950) return `${(left / 1000).toFixed(1)} s`;
  const seconds = Math.round(left / 1000);
  const units = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  const [unit, size] = units[first];
  const [smaller, smallerSize] = units[first + 1] ?? ["", 1];
  const rest = Math.floor((seconds % size) / smallerSize);
  return `${Math.floor(seconds / size)} ${unit}` + (rest > 0 ? ` ${rest} ${smaller}` : "");
}
