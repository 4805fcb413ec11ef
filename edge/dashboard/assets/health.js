// Is all well? If not, what is wrong, in words, worst first. Decides only; shows nothing.

import { ago, many, number, percent, rate, seconds } from "./format.js";
import { latest, recent, sum } from "./series.js";
import { TIERS } from "./charts.js";

/** One bad minute spends as much as a month allows in hours: the first is seen, the second wakes people. */
const ERRORS_SEEN = 0.001;
const ERRORS_BAD = 0.01;
/** Half of what a model's policy allows unless it says otherwise (`max_lag_s`). */
const LAG_SEEN_S = 5;
/** Above 1 the budget will not last; at 14.4 a month's budget is gone in two days. */
const BURN_SEEN = 1;
const BURN_BAD = 14.4;
/** A queue whose head waits for that long is not being worked on. */
const QUEUE_STUCK_S = 60;

/** Of one kind; more would hide the other kinds. */
const MOST_TOLD = 5;
const LONGEST = 120;

const FAILED_RUNS = ["failed", "timed out", "refused"];

const BUCKETS_OF_A_MINUTE = (document) => Math.max(1, Math.round(60 / document.step_s));

const CHECKS = [audit, nodes, errors, breakers, views, lag, workers, leader, queues, jobs, experiments];
const RANK = { bad: 0, warn: 1 };

/** The state (`ok`, `warn`, `bad`), the one line, what else to know, and each problem with where to look. */
export function judge(document) {
  const problems = CHECKS.flatMap((check) => check(document)).sort((a, b) => RANK[a.level] - RANK[b.level]);
  return { state: problems[0]?.level ?? "ok", words: words(problems), more: summary(document), problems };
}

function words(problems) {
  if (problems.length === 0) return "All is well";
  return problems.length === 1 ? "One thing needs attention" : `${problems.length} things need attention`;
}

function summary(document) {
  const { nodes: all, series, totals } = document;
  const alive = all.filter((node) => node.alive).length;
  const edges = all.length ? `${alive === all.length ? many(alive, "edge") : `${alive} of ${many(all.length, "edge")}`} answering` : "No edge has written yet";
  const now = latest(sum([...TIERS.map((tier) => series.requests_per_s[tier] ?? []), series.errors_per_s, series.shed_per_s]));
  const parts = [edges];
  if (now !== null) parts.push(`${rate(now)} now`);
  if (totals.fresh_hit_ratio !== null) parts.push(`${percent(totals.fresh_hit_ratio)} fresh`);
  return parts.join(" · ");
}

const problem = (level, text, where) => [{ level, text, where }];

function audit({ audit: last, now_ms }) {
  if (!last?.falsely_fresh) return [];
  return problem("bad", `The audit found ${many(last.falsely_fresh, "falsely fresh answer")} ${ago(last.at_ms, now_ms)}`, "audit");
}

function nodes({ nodes: all, now_ms }) {
  return all
    .filter((node) => !node.alive)
    .flatMap((node) => problem("bad", `Edge ${node.node} is silent; it was last seen ${ago(node.last_seen_ms, now_ms)}`, "nodes"));
}

function errors(document) {
  const { series } = document;
  const minute = BUCKETS_OF_A_MINUTE(document);
  const answered = recent(sum(TIERS.map((tier) => series.requests_per_s[tier] ?? [])), minute) ?? 0;
  const failed = recent(series.errors_per_s, minute) ?? 0;
  const shed = recent(series.shed_per_s, minute) ?? 0;
  const share = failed / (answered + failed || 1);
  const found = [];
  if (share > ERRORS_SEEN) found.push(...problem(share > ERRORS_BAD ? "bad" : "warn", `${percent(share)} of requests fail (${rate(failed)})`, "errors"));
  if (shed > 0) found.push(...problem("warn", `Load is being shed: ${rate(shed)} refused`, "errors"));
  return found;
}

/** One model that is out may be so in every process of the fleet: it is one thing that is wrong. */
function breakers({ breakers: all, now_ms }) {
  const first = new Map();
  for (const breaker of all) {
    const name = `${breaker.model} ${breaker.variant}`;
    if (!first.has(name)) first.set(name, breaker);
  }
  const told = [...first].slice(0, MOST_TOLD).flatMap(([name, { state, since_ms, why }]) =>
    problem(state === "trial" ? "warn" : "bad", `${name} ${since_ms === null ? "is taken out" : `was taken out ${ago(since_ms, now_ms)}`}: ${brief(why)}`, "breakers"),
  );
  const rest = first.size - MOST_TOLD;
  return rest > 0 ? [...told, ...problem("bad", `${many(rest, "more variant is", "more variants are")} taken out`, "breakers")] : told;
}

const brief = (text) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text);

function experiments({ experiments: { running, broken } }) {
  const odd = running.filter((it) => it.is_mismatch).slice(0, MOST_TOLD);
  const lost = Object.keys(broken).slice(0, MOST_TOLD);
  return [
    ...odd.flatMap(({ name }) => problem("warn", `Experiment ${name}: its arms do not get the units that they should`, "running")),
    ...lost.flatMap((name) => problem("warn", `Experiment ${name} does not run`, "running")),
  ];
}

function views({ views: all }) {
  return all
    .filter((view) => view.burn > BURN_SEEN)
    .flatMap((view) =>
      problem(view.burn >= BURN_BAD ? "bad" : "warn", `View ${view.view} spends its error budget ${number(view.burn)} × too fast`, "views"),
    );
}

function lag({ series }) {
  const now = latest(series.replica_lag_s);
  return now > LAG_SEEN_S ? problem("warn", `The replica is ${seconds(now)} behind`, "lag") : [];
}

function workers({ workers: all, now_ms }) {
  const dead = all.filter((worker) => !worker.alive);
  if (dead.length && dead.length === all.length) return problem("bad", "No worker makes progress", "workers");
  return dead.flatMap((worker) => problem("warn", `Worker ${worker.name} makes no progress (last ${ago(worker.last_progress_ms, now_ms)})`, "workers"));
}

function leader({ leader: who, jobs: all }) {
  return who === null && all.length ? problem("warn", "No scheduler leads: jobs do not start by themselves", "jobs") : [];
}

function queues({ queues: all }) {
  return all
    .filter((queue) => queue.oldest_s > QUEUE_STUCK_S)
    .flatMap((queue) => problem("warn", `Queue ${queue.name} is stuck: the oldest of ${number(queue.depth)} waits for ${seconds(queue.oldest_s)}`, "queues"));
}

function jobs({ jobs: all, now_ms }) {
  return all
    .filter((job) => FAILED_RUNS.includes(job.last?.state))
    .flatMap((job) => problem("warn", `Last run of job ${job.name} ${job.last.state} ${ago(job.last.ended_ms ?? job.last.started_ms, now_ms)}`, "jobs"));
}
