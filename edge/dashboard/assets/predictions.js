// Tables about what is predicted: views against their promise, hot keys, models.

import { href } from "./address.js";
import { el, setAttribute, setText } from "./dom.js";
import { ago, milliseconds, number, percent, rate, seconds, time, UNKNOWN } from "./format.js";
import { bar, badge, panel, setBadge, setBar, Table, within } from "./table.js";

let now = 0;

/** A trend within this of 1 is none. */
const STEADY = 0.05;
/** A burn of so much fills its bar. */
const FULL_BURN = 2;

const views = new Table({
  caption: "Views against their freshness SLA",
  empty: "No view declares an SLA, or nothing has been updated yet.",
  keyOf: (view) => view.view,
  columns: [
    { title: "View", text: (view) => view.view },
    { title: "SLA", number: true, text: (view) => seconds(view.sla_s) },
    { title: "Within SLA", number: true, text: (view) => percent(view.within) },
    { title: "Objective", number: true, text: (view) => percent(view.objective) },
    { title: "Error budget", make: bar, update: showBurn },
    { title: "Updates", number: true, text: (view) => rate(view.updates_per_s) },
    { title: "Last change", number: true, text: (view) => ago(view.last_change_ms, now) },
  ],
});

function showBurn(node, view) {
  if (view.burn === null) return setBar(node, null, UNKNOWN);
  const level = view.burn > 1 ? "bad" : view.burn > 0.5 ? "warn" : "ok";
  return setBar(node, view.burn / FULL_BURN, `${number(view.burn)} ×${view.burn > 1 ? " too fast" : ""}`, level);
}

const hot = new Table({
  caption: "Hot keys",
  empty: "No key is hot yet.",
  keyOf: (row) => `${row.model}/${row.key}`,
  columns: [
    { title: "Key", make: within, update: showKey },
    { title: "Model", free: true, text: (row) => row.model },
    { title: "Rate", number: true, text: (row) => rate(row.rate_per_s) },
    { title: "Trend", number: true, text: (row) => trend(row.trend) },
  ],
});

/** So many say where the heat is; the others are there for those who want them. */
const FEW_KEYS = 10;
let keys = [];
const moreKeys = el("button", { type: "button", class: "quiet more-rows", "aria-expanded": "false" });
moreKeys.addEventListener("click", () => {
  setAttribute(moreKeys, "aria-expanded", String(moreKeys.getAttribute("aria-expanded") === "false"));
  showHot(keys);
});

function showHot(rows) {
  keys = rows;
  const all = moreKeys.getAttribute("aria-expanded") === "true";
  hot.update(all ? rows : rows.slice(0, FEW_KEYS));
  setAttribute(moreKeys, "hidden", rows.length <= FEW_KEYS);
  setText(moreKeys, all ? `Show ${FEW_KEYS}` : `Show all ${rows.length}`);
}

function showKey(node, row) {
  setText(node, row.key);
  setAttribute(node, "href", href({ why: { model: row.model, key: row.key } }));
  setAttribute(node, "title", `Explain ${row.model} ${row.key}`);
}

function trend(value) {
  if (value === null || value === undefined) return UNKNOWN;
  const arrow = value > 1 + STEADY ? "↑" : value < 1 - STEADY ? "↓" : "→";
  return `${arrow} ${number(value)} ×`;
}

const models = new Table({
  caption: "Models, their variants and versions",
  empty: "No model has been published.",
  keyOf: (row) => `${row.model}/${row.variant}`,
  columns: [
    { title: "Model", text: (row) => row.model },
    { title: "Variant", text: (row) => row.variant },
    { title: "Version", number: true, text: (row) => `${row.version ?? UNKNOWN}` },
    { title: "Kept", number: true, text: (row) => newest(row.versions) },
    { title: "Share", number: true, text: (row) => percent(row.share) },
    { title: "Quality", number: true, text: (row) => number(row.quality) },
    { title: "p50", number: true, text: (row) => milliseconds(row.p50_ms) },
    { title: "p95", number: true, text: (row) => milliseconds(row.p95_ms) },
    { title: "p99", number: true, text: (row) => milliseconds(row.p99_ms) },
    { title: "Rollout", make: bar, update: showRollout },
  ],
});

/** The newest few, which come first; a model may have hundreds. */
function newest(versions) {
  const few = versions.slice(0, 3).join(", ") || UNKNOWN;
  return versions.length > 3 ? `${few}, …` : few;
}

function showRollout(node, { rollout }) {
  if (!rollout) return setBar(node, null, "none");
  return setBar(node, rollout.warm, `to ${rollout.version}, ${percent(rollout.warm)} warm`);
}

const invalidations = new Table({
  caption: "Invalidations by hand, newest first",
  empty: "Nothing has been invalidated by hand.",
  keyOf: (row) => `${row.at_ms} ${row.what} ${row.who}`,
  columns: [
    { title: "What", text: (row) => row.what },
    { title: "When", number: true, text: (row) => time(row.at_ms, now) },
    { title: "Who", free: true, text: (row) => row.who ?? UNKNOWN },
    { title: "Why", free: true, text: (row) => row.why || UNKNOWN },
  ],
});

const breakers = new Table({
  caption: "Circuit breakers",
  empty: "No breaker has been needed.",
  keyOf: (row) => `${row.name}/${row.node ?? ""}`,
  columns: [
    { title: "Breaker", text: (row) => row.name },
    { title: "State", make: badge, update: (node, row) => setBadge(node, { closed: "ok", open: "bad" }[row.state] ?? "warn", row.state) },
    { title: "Since", number: true, text: (row) => ago(row.since_ms, now) },
  ],
});

const audit = el("p", { class: "fact" });

function showAudit(found) {
  if (!found) return setText(audit, "Not run yet. `nearcast audit` recomputes a sample of live keys and compares.");
  const verdict = found.falsely_fresh ? `${number(found.falsely_fresh)} falsely fresh answers` : "no falsely fresh answer";
  return setText(audit, `${ago(found.at_ms, now)}: ${number(found.checked)} keys recomputed, ${verdict}.`);
}

/** The panels: of freshness, of models, and of what guards them. */
export const panels = {
  views: panel("views", "Views against their SLA", null, views.node),
  hot: panel("hot", "Hot keys", "The most asked for, and how that changes. Choose one to see why it is answered as it is.", hot.node, moreKeys),
  models: panel("models", "Models", "Latency of the answers that were computed on demand.", models.node),
  invalidations: panel("invalidations", "Recent invalidations", null, invalidations.node),
  breakers: panel("breakers", "Breakers", null, breakers.node),
  audit: panel("audit", "Audit", null, audit),
};

/** Shows a document in all of them. */
export function update(document) {
  now = document.now_ms;
  views.update(document.views);
  showHot(document.hot);
  models.update(document.models);
  invalidations.update(document.invalidations);
  breakers.update(document.breakers);
  showAudit(document.audit);
}
