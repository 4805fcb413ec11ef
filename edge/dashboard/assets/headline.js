// The headline numbers, each with how it came about over the range.

import { byId, el, setAttribute, setText, svg } from "./dom.js";
import { RANGE_WORDS } from "./address.js";
import { ago, milliseconds, number, percent, rate, seconds } from "./format.js";
import { largest, latest, path, sum } from "./series.js";
import { TIERS } from "./charts.js";

const SPARK_WIDTH = 120;
const SPARK_HEIGHT = 26;

const now = (text) => `now ${text}`;

/** Everything that was asked for, answered or not. */
const asked = ({ requests_per_s: answered, errors_per_s: errors, shed_per_s: shed }) =>
  sum([...TIERS.map((tier) => answered[tier] ?? []), errors, shed]);

const TILES = [
  {
    id: "fresh",
    title: "Fresh hits",
    value: (d) => percent(d.totals.fresh_hit_ratio),
    more: (d) => `costs ${number(d.totals.off_path_rows_per_request)} rows a request`,
    spark: (d) => d.series.fresh_hit_ratio,
  },
  {
    id: "hits",
    title: "Hit ratio",
    value: (d) => percent(d.totals.hit_ratio),
    more: (d) => now(percent(latest(d.series.hit_ratio))),
    spark: (d) => d.series.hit_ratio,
  },
  {
    id: "rate",
    title: "Requests",
    value: (d) => rate(latest(asked(d.series))),
    more: (d, range) => `${number(d.totals.requests)} in ${RANGE_WORDS[range]}`,
    spark: (d) => asked(d.series),
  },
  {
    id: "p99",
    title: "p99 latency",
    value: (d) => milliseconds(d.totals.p99_ms),
    more: (d) => `p50 ${milliseconds(d.totals.p50_ms)}, p99.9 ${milliseconds(d.totals.p999_ms)}`,
    spark: (d) => d.series.p99_ms ?? [],
  },
  {
    id: "lag-now",
    title: "Replica lag",
    value: (d) => seconds(latest(d.series.replica_lag_s)),
    more: (d) => `at most ${seconds(largest(d.series.replica_lag_s))}`,
    spark: (d) => d.series.replica_lag_s,
  },
  {
    id: "false",
    title: "Falsely fresh",
    value: (d) => (d.audit ? number(d.audit.falsely_fresh) : "not audited"),
    more: (d) => (d.audit ? `of ${number(d.audit.checked)} checked ${ago(d.audit.at_ms, d.now_ms)}` : "nearcast audit tells"),
    level: (d) => (d.audit?.falsely_fresh ? "bad" : null),
  },
];

/** Builds the tiles; returns what shows a document in them. */
export function headline() {
  const made = TILES.map((tile) => ({ tile, ...build(tile) }));
  byId("tiles").append(...made.map(({ node }) => node));
  return (document, range) => {
    for (const { tile, node, value, more, line } of made) {
      setText(value, tile.value(document));
      setText(more, tile.more(document, range));
      setAttribute(node, "data-level", tile.level?.(document));
      if (line) setAttribute(line, "d", path(tile.spark(document), SPARK_WIDTH, SPARK_HEIGHT));
    }
  };
}

function build(tile) {
  const value = el("p", { class: "value" }, "–");
  const more = el("p", { class: "more" }, " ");
  const line = tile.spark ? svg("path", { fill: "none" }) : null;
  const box = `-2 -2 ${SPARK_WIDTH + 4} ${SPARK_HEIGHT + 4}`;
  const drawing = line ? [svg("svg", { class: "spark", viewBox: box, preserveAspectRatio: "none", "aria-hidden": "true" }, line)] : [];
  const node = el("li", { class: "tile", id: `tile-${tile.id}` }, el("h3", {}, tile.title), value, more, ...drawing);
  return { node, value, more, line };
}
