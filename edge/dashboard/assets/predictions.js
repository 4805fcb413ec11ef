// Tables about what is predicted: views against their promise, hot keys, invalidations, audit.

import { href } from "./address.js";
import { el, setAttribute, setText } from "./dom.js";
import { ago, number, percent, rate, seconds, time, UNKNOWN } from "./format.js";
import { bar, few, panel, setBar, Table, within } from "./table.js";

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

/** So many say where the heat is. */
const fewKeys = few(hot, 10);

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

const audit = el("p", { class: "fact" });

function showAudit(found) {
  if (!found) return setText(audit, "Not run yet. `nearcast audit` recomputes a sample of live keys and compares.");
  const verdict = found.falsely_fresh ? `${number(found.falsely_fresh)} falsely fresh answers` : "no falsely fresh answer";
  return setText(audit, `${ago(found.at_ms, now)}: ${number(found.checked)} keys recomputed, ${verdict}.`);
}

/** The panels: of freshness, of what is asked for, and of what guards it. */
export const panels = {
  views: panel("views", "Views against their SLA", null, views.node),
  hot: panel("hot", "Hot keys", "The most asked for, and how that changes. Choose one to see why it is answered as it is.", hot.node, fewKeys.button),
  invalidations: panel("invalidations", "Recent invalidations", null, invalidations.node),
  audit: panel("audit", "Audit", null, audit),
};

/** Shows a document in all of them. */
export function update(document) {
  now = document.now_ms;
  views.update(document.views);
  fewKeys.update(document.hot);
  invalidations.update(document.invalidations);
  showAudit(document.audit);
}
