// Experiments: each that runs with its arms, and in short those that are over.

import { el, reconcile, setAttribute, setText } from "./dom.js";
import { ago, many, milliseconds, NARROW, number, percent, UNKNOWN } from "./format.js";
import { badge, bar, panel, setBadge, setBar, Table } from "./table.js";

let now = 0;

const running = el("div", { class: "experiments" });
const none = el("p", { class: "empty" }, "No experiment runs.");
const others = el("p", { class: "fact" });
const broken = el("ul", { class: "fact" });

/** One experiment that runs: what it is, whether its numbers can be believed, and its arms. */
function block({ name }) {
  const mark = badge();
  const what = el("p", { class: "small" });
  const arms = new Table({
    caption: `Arms of experiment ${name}`,
    keyOf: (arm) => arm.arm,
    columns: [
      { title: "Arm", text: (arm) => arm.arm },
      { title: "Serves", free: true, text: (arm) => arm.serves },
      { title: "Declared", number: true, text: (arm) => percent(arm.share) },
      { title: "Seen", make: bar, update: showSeen },
      { title: "Units", number: true, text: (arm) => number(arm.units) },
      { title: "Answers", number: true, text: (arm) => number(arm.answers) },
      { title: "Fresh hits", number: true, text: (arm) => interval(arm.hits, percent) },
      { title: "Mean time", number: true, text: (arm) => interval(arm.mean_ms, milliseconds) },
    ],
  });
  const id = `experiment-${name}`;
  const head = el("div", { class: "experiment-head" }, el("h4", { id }, name), mark);
  return { node: el("section", { class: "experiment", "aria-labelledby": id }, head, what, arms.node), mark, what, arms };
}

function fill(made, experiment) {
  setBadge(made.mark, ...verdict(experiment));
  setText(made.what, about(experiment));
  made.arms.update(experiment.arms);
}

function showSeen(node, { seen }) {
  setBar(node, seen?.estimate ?? null, seen ? interval(seen, percent) : UNKNOWN);
}

function verdict({ sample_ratio_p: p, is_mismatch: mismatch }) {
  if (p === null) return ["idle", "too few units to check the ratio"];
  const chance = p < 0.001 ? "p < 0.001" : `p = ${number(p)}`;
  return mismatch ? ["bad", `sample ratio mismatch, ${chance}`] : ["ok", `sample ratio as declared, ${chance}`];
}

function about({ model, unit, layer, slice, start_ms: start, end_ms: end, sample, records }) {
  const parts = [`${model} by ${unit}`];
  if (slice[0] > 0 || slice[1] < 1) parts.push(`${percent(slice[1] - slice[0])} of layer ${layer}`);
  if (start !== null) parts.push(`began ${ago(start, now)}`);
  if (end !== null) parts.push(`ends ${ago(end, now)}`);
  if (sample < 1) parts.push(`${percent(sample)} of units recorded`);
  if (records !== null) parts.push(`units, hits and times of the latest ${many(records, "record")}`);
  return parts.join(" · ");
}

/** An estimate, and between which bounds the truth lies. */
function interval(of, words) {
  if (!of) return UNKNOWN;
  if (of.low === null || of.high === null) return words(of.estimate);
  const [low, high] = [words(of.low), words(of.high)];
  const [bare, unit] = low.split(NARROW);
  return `${words(of.estimate)} (${high.endsWith(NARROW + unit) ? bare : low}–${high})`;
}

const ended = new Table({
  caption: "Experiments that are over, the latest first",
  empty: "No experiment is over.",
  keyOf: (row) => row.name,
  columns: [
    { title: "Experiment", text: (row) => row.name },
    { title: "Model", free: true, text: (row) => row.model },
    { title: "Over", number: true, text: (row) => `${row.was_stopped ? "stopped" : "ended"} ${ago(row.ended_ms, now)}` },
    { title: "Answers", long: true, text: (row) => Object.entries(row.answers).map(([arm, count]) => `${arm} ${number(count)}`).join(", ") },
  ],
});
const endedOthers = el("p", { class: "fact" });

/** The panels. */
export const panels = {
  running: panel("running", "Running", "`nearcast experiment report` says more, of all records. Brackets hold the truth in 95 of 100 looks.", running, none, others, broken),
  ended: panel("ended", "Over", null, ended.node, endedOthers),
};

/** Shows a document in all of them. */
export function update({ experiments: of, now_ms }) {
  now = now_ms;
  reconcile(running, of.running, (experiment) => experiment.name, block, fill);
  setAttribute(none, "hidden", of.running.length > 0);
  more(others, of.running_count - of.running.length, "more runs", "more run");
  const problems = Object.entries(of.broken);
  reconcile(broken, problems, ([name]) => name, () => ({ node: el("li") }), (made, [name, why]) => setText(made.node, `${name} does not run: ${why}`));
  setAttribute(broken, "hidden", problems.length === 0);
  ended.update(of.ended);
  more(endedOthers, of.ended_count - of.ended.length, "more is over", "more are over");
}

function more(node, count, one, several) {
  setText(node, `${many(count, one, several)}.`);
  setAttribute(node, "hidden", count <= 0);
}
