// The ladder of tiers in words: which would answer, and why not the nearer ones.

import { el } from "./dom.js";
import { seconds, time } from "./format.js";

const PLAIN = {
  absent: "holds nothing for this key",
  "no-row": "knows that it cannot be computed",
  expired: "past its TTL",
  "unknown-epoch": "made in another history of the primary",
  corrupt: "holds bytes that are not this prediction",
  unreachable: "cannot be asked",
  "cannot-compute": "cannot be computed",
  "no-model": "its model is not loaded or taken out",
  "not-allowed": "the model's policy does not allow it",
  deleted: "made from a row that has been deleted",
};

const SETTINGS = { stale_while_revalidate_s: "stale, while it is computed anew", stale_if_error_s: "stale, if computing fails" };
const NAMES = { memory: "memory", replica: "replica", live: "live", default: "default" };

/** The tier in words. */
export function tierName(tier) {
  return SETTINGS[tier.setting] ?? NAMES[tier.tier] ?? tier.tier;
}

/** One reason in words. */
export function reasonWords(reason, nowMs) {
  const at = reason.at ? time(Date.parse(reason.at), nowMs) : "";
  switch (reason.reason) {
    case "changed":
      return reason.ordered ? `invalidated by hand (${reason.ordered}) at ${at}` : `${reason.view} ${reason.entity} changed at ${at}`;
    case "below-floor":
      return `older than what is known of ${reason.view ?? "orders"} (since ${at})`;
    case "behind":
      return `the replica may be behind (${seconds(reason.lag_s)}, ${seconds(reason.max_lag_s)} allowed)`;
    case "too-stale":
      return `stale for ${seconds(reason.stale_for_s)}, ${seconds(reason.allowed_s)} allowed`;
    case "expired":
      return `past its TTL for ${seconds(reason.since_s)}`;
    default: {
      const plain = PLAIN[reason.reason] ?? reason.reason;
      return reason.detail ? `${plain}: ${reason.detail}` : plain;
    }
  }
}

/** The list of tiers. */
export function ladder(found, nowMs) {
  const first = found.tiers.findIndex((tier) => tier.answers);
  const steps = found.tiers.map((tier, i) => step(tier, i === first, first >= 0 && i > first, nowMs));
  return el("ol", { class: "ladder" }, ...steps);
}

function step(tier, chosen, later, nowMs) {
  const state = chosen ? "answers" : later ? "later" : "passed";
  const word = { answers: "Answers", later: tier.answers ? "Could answer" : "Could not answer", passed: "Passed over" }[state];
  const reasons = tier.reasons.map((reason) => reasonWords(reason, nowMs)).join("; ");
  const facts = tier.entry ? [el("p", { class: "small" }, entryWords(tier))] : [];
  return el(
    "li",
    { "data-state": state },
    el("p", { class: "tier" }, el("b", {}, tierName(tier)), el("span", { class: "badge", "data-level": { answers: "ok", later: "idle", passed: "warn" }[state] }, word)),
    el("p", {}, reasons || good(tier)),
    ...facts,
  );
}

function good(tier) {
  if (tier.setting) return `stale for ${seconds(tier.stale_for_s)}, which the model's policy allows`;
  return { live: "all its rows are there", default: "the model declares one" }[tier.tier] ?? "fresh";
}

function entryWords({ entry, lives_s }) {
  const left = entry.ttl_left_s > 0 ? `fresh for ${seconds(entry.ttl_left_s)} more at most` : "past its TTL";
  const lives = lives_s === undefined ? "" : `, kept for ${seconds(lives_s)}`;
  return `version ${entry.version}, computed ${seconds(entry.age_s)} ago, ${left}${lives}`;
}
