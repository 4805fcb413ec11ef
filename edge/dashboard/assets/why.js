// One key explained: `GET /v1/why/{model}/{key}`, asked when a key is chosen and when somebody looks again.

import { href } from "./address.js";
import { byId, el } from "./dom.js";
import { ago, moment, number, rate, seconds, time } from "./format.js";
import { ladder, tierName } from "./ladder.js";
import { Table, within } from "./table.js";
import { nowOf, timeline } from "./timeline.js";

const TIMEOUT_MS = 15_000;
const VERDICTS = {
  memory: "Memory answers at once",
  replica: "The replica answers",
  live: "It is computed when asked for",
  stale: "A stale answer is given, and says so",
  default: "The model's default is given",
  error: "No tier can answer: the request fails",
};

let asked = 0;

/** Explains a key in place of the numbers, or makes room for them. */
export async function show(wanted) {
  const place = byId("why");
  asked += 1;
  place.hidden = wanted === null;
  if (wanted === null) {
    place.replaceChildren();
    return;
  }
  const mine = asked;
  if (place.dataset.of !== `${wanted.model}/${wanted.key}`) place.replaceChildren(...head(wanted, "Asking"));
  place.dataset.of = `${wanted.model}/${wanted.key}`;
  const [ok, body] = await fetched(wanted);
  if (mine === asked) place.replaceChildren(...(ok ? explained(wanted, body) : refused(wanted, body)));
}

async function fetched({ model, key }) {
  const [name, context] = cut(key);
  const path = `/v1/why/${encodeURIComponent(model)}/${encodeURIComponent(name)}${context}`;
  try {
    const response = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    const body = await response.json().catch(() => ({}));
    return [response.ok, response.ok ? body : { detail: body.detail ?? `status ${response.status}` }];
  } catch {
    return [false, { detail: "The edge cannot be reached." }];
  }
}

/** A key as hot keys are written may carry its context behind a question mark. */
function cut(key) {
  const at = key.indexOf("?");
  return at < 0 ? [key, ""] : [key.slice(0, at), `?${new URLSearchParams(key.slice(at + 1))}`];
}

function head(wanted, verdict, more = "") {
  const back = within();
  back.className = "back";
  back.append("← All numbers");
  back.setAttribute("href", href({ why: null }));
  return [
    back,
    el("p", { class: "asked" }, el("span", {}, wanted.model), " ", el("code", {}, wanted.key)),
    el("h1", { id: "why-title", tabindex: "-1" }, verdict),
    el("p", { class: "small" }, more),
  ];
}

function refused(wanted, { detail }) {
  return [...head(wanted, "This key cannot be explained", detail), again(wanted)];
}

function again(wanted) {
  const button = el("button", { type: "button" }, "Look again");
  button.addEventListener("click", () => show(wanted));
  return button;
}

function explained(wanted, found) {
  const nowMs = nowOf(found);
  const first = found.tiers.find((tier) => tier.answers);
  const by = first ? `Answered by: ${tierName(first)}.` : "";
  return [
    ...head({ model: found.model, key: found.key }, VERDICTS[found.would_answer] ?? found.would_answer, `${by} As this edge sees it at ${time(nowMs, nowMs)}.`),
    again(wanted),
    el("div", { class: "why-grid" },
      part("Which tier, and why not a nearer one", ladder(found, nowMs)),
      part("About this key", facts(found, nowMs))),
    part("In time", ...timeline(found, nowMs)),
    part("What it depends on", compared(found), dependencies(found, nowMs), ...notes(found)),
  ];
}

function part(title, ...children) {
  return el("section", { class: "panel" }, el("h2", {}, title), ...children);
}

function facts(found, nowMs) {
  const { hotness, next_refresh: next } = found;
  const others = found.versions_ready.filter((version) => version !== found.version);
  const rows = [
    ["Version", `${found.version}, variant ${found.variant}`],
    ["Also ready", others.length ? others.map((version) => `version ${version}`).join(", ") : "no other version"],
    ["Hotness", hotness.rank === null ? "not among the hot keys" : `rank ${number(hotness.rank)}, ${rate(hotness.requests_per_s)}`],
    ["All of its model", rate(hotness.model_requests_per_s)],
    ["Next refresh", next.expected_by ? `${ago(Date.parse(next.expected_by), nowMs)}: ${next.detail}` : next.detail],
    ["Replica", found.replica_connected ? `at most ${seconds(found.lag_s)} behind` : "not connected"],
  ];
  return el("dl", { class: "facts" }, ...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

/** As-of is that of the nearest entry, which need not be the one that answers. */
function compared({ tiers }) {
  const nearest = tiers.find((tier) => tier.entry);
  return el("p", { class: "small" }, nearest ? `Compared with the entry in ${nearest.tier}.` : "There is no entry to compare with.");
}

function dependencies(found, nowMs) {
  const table = new Table({
    caption: "Rows that the prediction is computed from",
    empty: "It depends on nothing.",
    keyOf: (row) => `${row.view}/${row.entity}`,
    columns: [
      { title: "Row", text: (row) => `${row.view} ${row.entity}` },
      { title: "Row changed", number: true, text: ({ row }) => ({ null: "not known", false: "no row" })[row.present] ?? time(Date.parse(row.changed.at), nowMs) },
      { title: "Event age", number: true, text: ({ row }) => `${seconds(row.event_age_s)}${row.within_max_age === false ? `, limit ${seconds(row.max_age_s)}` : ""}` },
      { title: "As-of", make: id, update: (node, row) => showId(node, row.as_of, nowMs) },
      { title: "Last change followed", make: id, update: (node, row) => showId(node, row.last_change_followed?.id, nowMs) },
      { title: "Changed since", make: () => el("span", { class: "badge" }), update: changed },
    ],
  });
  table.update(found.dependencies);
  return table.node;
}

const id = () => el("span", {});

/** When a record of the update log was written; the id itself is told to whoever points at it. */
function showId(node, text, nowMs) {
  const at = Number(text?.split("-")[0]);
  node.textContent = text ? (at ? moment(at, nowMs) : "before any change") : "none";
  node.title = text ?? "";
}

function changed(node, { changed_since }) {
  const [level, words] = { true: ["warn", "yes"], false: ["ok", "no"] }[changed_since] ?? ["idle", "nothing to compare"];
  node.dataset.level = level;
  node.textContent = words;
}

function notes(found) {
  return found.dependencies.filter((row) => row.note).map((row) => el("p", { class: "small" }, `${row.view} ${row.entity}: ${row.note}`));
}
