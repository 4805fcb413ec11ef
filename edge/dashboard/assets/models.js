// Tables about models: what each variant serves and how fast, how routing and memory deal with it, what is taken out.

import { el, setAttribute, setText } from "./dom.js";
import { ago, bytes, many, milliseconds, number, percent, UNKNOWN } from "./format.js";
import { badge, bar, few, panel, setBadge, setBar, Table } from "./table.js";

let now = 0;

const models = new Table({
  caption: "Models, their variants and versions",
  empty: "No model has been published.",
  keyOf: (row) => `${row.model}/${row.variant}`,
  columns: [
    { title: "Model", text: (row) => row.model },
    { title: "Variant", text: (row) => row.variant },
    { title: "Version", number: true, text: (row) => `${row.version ?? UNKNOWN}` },
    { title: "Kept", number: true, text: (row) => newest(row.versions) },
    { title: "Quality", number: true, text: (row) => number(row.quality) },
    { title: "Share", number: true, text: (row) => percent(row.share) },
    { title: "Memory p95", number: true, text: (row) => milliseconds(row.tier_p95_ms.memory) },
    { title: "Replica p95", number: true, text: (row) => milliseconds(row.tier_p95_ms.replica) },
    { title: "Live p95", number: true, text: (row) => milliseconds(row.p95_ms) },
    { title: "Expected", number: true, text: (row) => milliseconds(row.expected_ms) },
    { title: "Auto chose", number: true, text: chosen },
    { title: "Loaded", number: true, text: loaded },
    { title: "Rollout", make: bar, update: showRollout },
  ],
});
const fewModels = few(models, 20);
const leftOut = el("p", { class: "fact" });

/** The newest few, which come first; a model may have hundreds. */
function newest(versions) {
  const some = versions.slice(0, 3).join(", ") || UNKNOWN;
  return versions.length > 3 ? `${some}, …` : some;
}

function chosen(row) {
  return row.over_budget ? `${number(row.chosen)}, ${number(row.over_budget)} late` : number(row.chosen);
}

function loaded(row) {
  if (row.loaded_in === null) return UNKNOWN;
  if (row.loaded_in === 0) return "no";
  const where = row.told_by > 1 ? `${row.loaded_in} of ${row.told_by}, ` : "";
  return `${where}${bytes(row.memory_bytes)}`;
}

function showRollout(node, { rollout }) {
  if (!rollout) return setBar(node, null, "none");
  return setBar(node, rollout.warm, `to ${rollout.version}, ${percent(rollout.warm)} warm`);
}

const LEVELS = { trial: "warn", open: "bad", ended: "bad" };
const WORDS = { trial: "on trial", open: "open", ended: "given up" };

const breakers = new Table({
  caption: "Breakers that are not closed, open ones first",
  empty: "All are closed: no model version is taken out.",
  keyOf: (row) => `${row.model}/${row.version}/${row.node}/${row.process}`,
  columns: [
    { title: "Model", text: (row) => row.model },
    { title: "Variant", text: (row) => `${row.variant}, version ${row.version}` },
    { title: "State", make: badge, update: (node, row) => setBadge(node, LEVELS[row.state] ?? "warn", WORDS[row.state] ?? row.state) },
    { title: "Since", number: true, text: (row) => ago(row.since_ms, now) },
    { title: "Opened", number: true, text: (row) => many(row.opened, "time") },
    { title: "Where", free: true, text: (row) => `${row.node}, process ${row.process}` },
    { title: "Why", long: true, text: (row) => row.why || UNKNOWN },
  ],
});

/** The panels. */
export const panels = {
  models: panel(
    "models",
    "Variants",
    "Expected is the p95 that routing reckons with now where an answer has to be computed; late are choices for which nothing fitted the budget.",
    models.node,
    fewModels.button,
    leftOut,
  ),
  breakers: panel("breakers", "Breakers", null, breakers.node),
};

/** Shows a document in all of them. */
export function update(document) {
  now = document.now_ms;
  fewModels.update(document.models);
  setText(leftOut, `${many(document.models_left_out, "variant")} of models that are asked for less are not listed.`);
  setAttribute(leftOut, "hidden", document.models_left_out === 0);
  breakers.update(document.breakers);
}
