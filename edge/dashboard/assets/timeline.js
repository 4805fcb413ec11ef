// One key in time: its entries, its rows and what is next, on a scale that is fine near now and coarse far away.

import { el } from "./dom.js";
import { ago, seconds, time } from "./format.js";

/** Marks of the scale, in seconds from now. */
const MARKS_S = [-2_592_000, -86_400, -3600, -60, -1, 0, 1, 60, 3600, 86_400, 2_592_000];
/** At least this much on both sides of now. */
const MARGIN_S = 60;
/** Labels that are nearer to each other, in percent of the width, would touch. */
const ROOM = 9;

const bent = (s) => Math.sign(s) * Math.log10(1 + Math.abs(s));
const idMs = (id) => Number(String(id).split("-")[0]);

/** Now, as the edge that explained the key sees it. */
export function nowOf(found) {
  const entry = found.tiers.map((tier) => tier.entry).find(Boolean);
  return entry ? Date.parse(entry.computed_at) + entry.age_s * 1000 : Date.now();
}

/** What happened and what will, as lanes of events {at, kind, words} and spans {from, to, words}. */
export function lanes(found, nowMs) {
  const entries = found.tiers.filter((tier) => tier.entry && !tier.setting).map((tier) => entryLane(tier, nowMs));
  const rows = found.dependencies.map(rowLane);
  const by = found.next_refresh.expected_by;
  const next = by ? [{ name: "next refresh", events: [event(Date.parse(by), "next", "expected by then")] }] : [];
  return [...entries, ...rows, ...next].filter((lane) => lane.events.length);
}

const event = (at, kind, words) => ({ at, kind, words });

function entryLane({ tier, entry }, nowMs) {
  const made = Date.parse(entry.computed_at);
  const until = nowMs + entry.ttl_left_s * 1000;
  return {
    name: `entry in ${tier}`,
    span: { from: made, to: until },
    events: [event(made, "computed", `version ${entry.version} computed`), event(until, "expires", until > nowMs ? "past its TTL then" : "past its TTL")],
  };
}

function rowLane({ view, entity, row, as_of, last_change_followed: followed, changed_since }) {
  const events = [];
  if (row.event_time) events.push(event(Date.parse(row.event_time), "event", "event time of the row"));
  if (row.changed) events.push(event(Date.parse(row.changed.at), "changed", "row changed"));
  if (followed && followed.id !== row.changed?.id) {
    events.push(event(Date.parse(followed.at), changed_since ? "news" : "changed", "last change that this edge follows"));
  }
  if (as_of && idMs(as_of) > 0) events.push(event(idMs(as_of), "known", changed_since ? "known to the prediction, older than the last change" : "known to the prediction"));
  const late = changed_since ? events.find(({ kind }) => kind === "changed" || kind === "news") : null;
  if (late) late.kind = "news";
  return { name: `${view} ${entity}`, events };
}

/** The drawing, and the same in words. */
export function timeline(found, nowMs) {
  const all = lanes(found, nowMs);
  const times = all.flatMap((lane) => lane.events.map(({ at }) => (at - nowMs) / 1000));
  const low = bent(Math.min(-MARGIN_S, ...times) * 1.3);
  const high = bent(Math.max(MARGIN_S, ...times) * 1.3);
  const place = (s) => (100 * (bent(s) - low)) / (high - low);
  const at = (ms) => place((ms - nowMs) / 1000);
  const drawing = el("div", { class: "timeline", "aria-hidden": "true" }, scale(place), ...all.map((lane) => drawn(lane, at, at(nowMs))));
  return [drawing, key(), inWords(all, nowMs)];
}

function scale(place) {
  const axis = el("div", { class: "scale" });
  const kept = [place(0)];
  for (const s of [...MARKS_S].sort((a, b) => Math.abs(a) - Math.abs(b))) {
    const x = place(s);
    const free = s === 0 || kept.every((other) => Math.abs(other - x) >= ROOM);
    if (x < 0 || x > 100 || !free) continue;
    kept.push(x);
    const words = s === 0 ? "now" : s < 0 ? `−${seconds(-s)}` : `+${seconds(s)}`;
    axis.append(put(el("span", { "data-now": s === 0 }, words), x));
  }
  return el("div", { class: "lane head" }, el("span", { class: "name" }), axis);
}

function drawn({ name, span, events }, at, now) {
  const track = el("div", { class: "track" });
  track.append(put(el("i", { class: "now" }), now));
  if (span) {
    const bar = put(el("i", { class: "span" }), at(span.from));
    bar.style.width = `${Math.max(0.5, at(span.to) - at(span.from))}%`;
    track.append(bar);
  }
  for (const { at: when, kind } of events) track.append(put(el("i", { class: "mark", "data-kind": kind }), at(when)));
  return el("div", { class: "lane" }, el("span", { class: "name" }, name), track);
}

function put(node, x) {
  node.style.left = `${x.toFixed(2)}%`;
  return node;
}

const KINDS = { computed: "computed", known: "known to the prediction (as-of)", changed: "row changed", news: "changed since", event: "event time", expires: "past its TTL", next: "next refresh" };

function key() {
  const items = Object.entries(KINDS).map(([kind, words]) => el("li", {}, el("i", { class: "mark", "data-kind": kind }), words));
  return el("ul", { class: "marks", "aria-hidden": "true" }, ...items);
}

function inWords(all, nowMs) {
  const told = all.flatMap(({ name, events }) => events.map((one) => ({ ...one, name }))).sort((a, b) => a.at - b.at);
  const items = told.map(({ at, name, words }) => el("li", {}, el("time", {}, time(at, nowMs)), el("span", {}, ago(at, nowMs)), el("span", {}, `${name}: ${words}`)));
  return el("ol", { class: "events" }, ...items);
}
