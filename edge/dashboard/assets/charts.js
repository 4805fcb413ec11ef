// Which charts there are.

import { Chart } from "./chart.js";
import { milliseconds, percent, rate, seconds, span } from "./format.js";
import { shares } from "./series.js";

/** From near to far; the colours get warmer on the way. */
export const TIERS = ["memory", "replica", "live", "stale", "default"];

const PERCENTILES = [
  { name: "p50", field: "p50", width: 2.5 },
  { name: "p95", field: "p95", width: 2, dash: [8, 3] },
  { name: "p99", field: "p99", width: 2, dash: [4, 3] },
  { name: "p99.9", field: "p999", width: 1.5, dash: [1.5, 3] },
];

const inMs = (value) => (value < 1000 ? milliseconds(value) : span(value / 1000));

const byTier = (document) => TIERS.map((tier) => document.series.requests_per_s[tier] ?? document.times_ms.map(() => null));

const tiers = (pick) => TIERS.map((tier, i) => ({ name: tier, tone: tier, pick: (document) => pick(document)[i] }));

const line = (name, tone, pick, dash) => ({ name, tone, dash, pick });

const pair = (field, tone, words = "") =>
  ["p50", "p99"].map((p, i) => line(`${words}${p}`, tone, (d) => d.series[field]?.[p], i ? [4, 3] : undefined));

const latency = (tier, note) => ({
  id: `latency-${tier}`,
  title: `Latency, ${tier}`,
  note,
  log: true,
  format: milliseconds,
  axis: inMs,
  series: PERCENTILES.map(({ name, field, width, dash }) => ({ name, width, dash, tone: tier, pick: (d) => positive(d.series.latency_ms[tier]?.[field]) })),
});

/** A logarithmic axis has no place for zero. */
const positive = (values) => values?.map((value) => (value > 0 ? value : null));

const TRAFFIC = [
  {
    id: "hit-ratio",
    title: "Hit ratio by tier",
    note: "Where answers came from, nearest first.",
    stacked: true,
    most: 1,
    format: percent,
    axis: (value) => `${Math.round(value * 100)} %`,
    series: tiers((document) => shares(byTier(document))),
  },
  { id: "requests", title: "Requests by tier", note: "Answers in a second.", stacked: true, format: rate, series: tiers(byTier) },
  {
    id: "errors",
    title: "Errors and shed requests",
    note: "Not answered, in a second.",
    format: rate,
    series: [line("errors", "bad", (d) => d.series.errors_per_s), line("shed", "warn", (d) => d.series.shed_per_s, [4, 3])],
  },
];

const LATENCY = [
  latency("memory", "Held in the process."),
  latency("replica", "Read from the Redis near by."),
  latency("live", "Computed on demand."),
];

const FRESHNESS = [
  {
    id: "lag",
    title: "Lag",
    note: "How far the replica is behind, and the follower behind it.",
    format: seconds,
    axis: span,
    series: [line("replica", "replica", (d) => d.series.replica_lag_s), line("follower", "live", (d) => d.series.follower_lag_s, [4, 3])],
  },
  {
    id: "updates",
    title: "From update to refreshed",
    note: "Until the old answer counts as stale, and until a new one is there.",
    log: true,
    format: milliseconds,
    axis: inMs,
    series: [...pair("update_to_stale_ms", "memory", "stale "), ...pair("update_to_refreshed_ms", "live", "refreshed ")].map((s) => ({
      ...s,
      pick: (d) => positive(s.pick(d)),
    })),
  },
  { id: "age", title: "Age of what is served", note: "Since it was computed.", format: seconds, axis: span, series: pair("age_s", "memory") },
];

const GROUPS = [
  ["traffic", "Traffic", TRAFFIC],
  ["latency", "Latency", LATENCY],
  ["freshness", "Freshness", FRESHNESS],
];

/** The groups of charts, each with its id, its title and its charts. */
export function groups() {
  return GROUPS.map(([id, title, specs]) => ({ id, title, charts: specs.map((spec) => new Chart(spec)) }));
}

