// Cases for the modules of the page that only decide; run by scripts.rs.

import { deepEqual, equal, ok } from "node:assert/strict";

import { Reader, delay } from "./events.mjs";
import { byName, counts, fold, long, matcher, troubles } from "./nodes.mjs";

deepEqual(["ocean10", "ocean2", "login"].sort(byName), ["login", "ocean2", "ocean10"]);

for (const [names, folded] of [
  [[], ""],
  [["login"], "login"],
  [["ocean7"], "ocean7"],
  [["ocean3", "ocean1", "ocean2", "ocean7", "ocean1"], "ocean[1-3,7]"],
  [["n08", "n09", "n10", "n11"], "n[08-11]"],
  [["n8", "n08", "n9", "n10"], "n[8-9],n[08,10]"],
  [["r1n1-ib", "r1n2-ib", "r2n1-ib"], "r1n[1-2]-ib,r2n1-ib"],
  [["b2", "a1", "b1", "a2"], "a[1-2],b[1-2]"],
  [["x00000000000000000001"], "x00000000000000000001"],
]) {
  equal(fold(names), folded);
}

for (const [text, fits, not] of [
  ["", ["ocean1"], []],
  ["OCEAN1", ["ocean1", "ocean12", "xocean1"], ["ocean2"]],
  ["ocean[1-3,7]", ["ocean1", "ocean3", "ocean7"], ["ocean4", "ocean17", "ocean", "xocean1", "ocean1x"]],
  ["ocean[1-3,7", ["ocean1", "ocean7"], ["ocean4"]],
  ["ocean[", [], ["ocean1"]],
  ["n[08-11]", ["n08", "n11"], ["n8", "n12", "n011"]],
  ["a1, b[1-2]", ["a1", "b2"], ["a2", "b3"]],
  ["*-ib", ["r1-ib"], ["r1-eth"]],
  ["r[1-2]n[5-6]", ["r1n5", "r2n6"], ["r3n5", "r1n7"]],
  ["o*n[1-2]", ["ocean1", "oxn2"], ["oxn3"]],
  ["[9-1]", [], ["9", "1", "5"]],
  ["a.c,(", ["a.c", "("], ["abc"]],
]) {
  const matches = matcher(text);
  for (const name of fits) ok(matches(name), `${text} fits ${name}`);
  for (const name of not) ok(!matches(name), `${text} does not fit ${name}`);
}
// A pattern of many stars must not take for ever.
ok(!matcher("*a*a*a*a*b,x")("a".repeat(60)));

const node = (name, state, more = {}) => ({ name, state, stage: null, step: null, waiting: null, failure: null, ...more });
const failure = (code, message) => ({ step: "luks", code, message, advice: "do this" });
equal(counts([node("a", "up"), node("b", "up")]).get("up"), 2);
equal(counts([]).get("failed"), 0);
// What a newer server may say is counted too.
equal(counts([node("a", "dancing")]).get("dancing"), 1);

const groups = troubles([
  node("a", "silent", { step: "iscsi", waiting: "portal" }),
  node("b", "failed", { failure: failure("luks-no-key", "volume 1") }),
  node("c", "failed", { failure: failure("luks-no-key", "volume 2") }),
  node("d", "failed", { failure: failure("luks-header", "volume 3") }),
  node("e", "up"),
  node("f", "failed"),
]);
deepEqual(
  groups.map((group) => [group.state, group.what, group.step, group.nodes.map((one) => one.name).join()]),
  [
    ["failed", "luks-no-key", "luks", "b,c"],
    ["failed", "", "", "f"],
    ["failed", "luks-header", "luks", "d"],
    ["silent", "portal", "iscsi", "a"],
  ],
);

for (const [ms, text] of [
  [0, "0 ms"],
  [-5, "0 ms"],
  [999.4, "999 ms"],
  [1000, "1.0 s"],
  [59_949, "59.9 s"],
  [59_960, "1 min"],
  [250_000, "4 min 10 s"],
  [3_600_000, "1 h"],
  [11_100_000, "3 h 5 min"],
  [187_200_000, "2 d 4 h"],
  [NaN, ""],
]) {
  equal(long(ms), text);
}

const stream = ': hello\n\nid: 7\ndata: {"node":\ndata: "a"}\n\nid: 8\r\ndata:x\r\n\r\nevent: e\nid: 9\n\ndata\n\n';
const expected = [{ id: "7", data: '{"node":\n"a"}' }, { id: "8", data: "x" }, { id: "9", data: "" }];
for (let size = 1; size <= stream.length; size++) {
  const reader = new Reader();
  const events = [];
  for (let at = 0; at < stream.length; at += size) events.push(...reader.read(stream.slice(at, at + size)));
  deepEqual(events, expected, `in pieces of ${size}`);
}

equal(delay(0, 0), 500);
equal(delay(0, 1), 1000);
equal(delay(3, 1), 8000);
equal(delay(1000, 1), 30_000);

console.log("all decided");
