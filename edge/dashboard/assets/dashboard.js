// The page: puts its parts together, and shows each document in all of them.

import { go, href, onChange, RANGES, RANGE_WORDS, read } from "./address.js";
import { repaint } from "./chart.js";
import { groups } from "./charts.js";
import { byId, el, reconcile, setAttribute, setText } from "./dom.js";
import * as experiments from "./experiments.js";
import * as fleet from "./fleet.js";
import { seconds } from "./format.js";
import { headline } from "./headline.js";
import { judge } from "./health.js";
import * as jobs from "./jobs.js";
import { Live } from "./live.js";
import * as models from "./models.js";
import * as predictions from "./predictions.js";
import * as search from "./search.js";
import * as why from "./why.js";

/** What is read aloud unasked, at most this often unless the state changes. */
const SPEAK_MS = 60_000;
const WHOLE_FLEET = "";

const sections = groups();
const charts = sections.flatMap((section) => section.charts);
let shown = null;
let explained = null;
let spoken = { at: -SPEAK_MS, words: "" };

const showHeadline = headline();
build();
search.listen();
const live = new Live(accept, showState);
onChange(navigate);
document.addEventListener("visibilitychange", () => shown && render());
byId("node").addEventListener("change", (event) => go({ node: event.target.value || null }));
wireTheme();
navigate();

function build() {
  const rows = (className, ...panels) => el("div", { class: className }, ...panels);
  const tables = {
    freshness: [rows("panels one", predictions.panels.views)],
    keys: [rows("panels two", predictions.panels.hot, predictions.panels.invalidations)],
    variants: [rows("panels one", models.panels.breakers, models.panels.models)],
    experiments: [rows("panels one", experiments.panels.running, experiments.panels.ended)],
    work: [rows("panels one", jobs.panels.jobs), rows("panels even", jobs.panels.runs, fleet.panels.workers)],
    fleet: [rows("panels wide-first", fleet.panels.nodes, fleet.panels.queues, predictions.panels.audit)],
  };
  const more = [["keys", "Keys and invalidations"], ["variants", "Models"], ["experiments", "Experiments"], ["work", "Jobs and workers"], ["fleet", "Fleet and audit"]];
  const all = [...sections, ...more.map(([id, title]) => ({ id, title, charts: [] }))];
  byId("sections").append(...all.map(({ id, title, charts: own }) => section(id, title, own, tables[id] ?? [])));
  byId("contents").append(...all.map(({ id, title }) => el("a", { href: `#${id}` }, title)));
  byId("ranges").append(...Object.keys(RANGES).map((range) => el("a", { "data-within": true, "data-range": range, title: `The last ${RANGE_WORDS[range]}` }, range)));
  setText(byId("zone"), Intl.DateTimeFormat().resolvedOptions().timeZone);
}

function section(id, title, own, tables) {
  const drawn = own.length ? [el("div", { class: "charts" }, ...own.map((chart) => chart.node))] : [];
  return el("section", { id, "aria-labelledby": `${id}-head` }, el("h2", { id: `${id}-head` }, title), ...drawn, ...tables);
}

/** Shows what the address says. */
function navigate() {
  const at = read();
  for (const link of byId("ranges").children) {
    setAttribute(link, "href", href({ range: link.dataset.range }));
    setAttribute(link, "aria-current", link.dataset.range === at.range ? "true" : null);
  }
  byId("overview").hidden = at.why !== null;
  const key = at.why && `${at.why.model}/${at.why.key}`;
  if (key !== explained) {
    search.show(at.why);
    why.show(at.why).then(() => byId("why-title")?.focus({ preventScroll: true }));
    scrollTo(0, 0);
  }
  explained = key;
  showNodes(shown?.nodes ?? []);
  live.watch(RANGES[at.range], at.node);
}

function accept(received) {
  shown = received;
  if (!document.hidden) render();
  // What a benchmark calls the first render.
  if (performance.getEntriesByName("numbers").length === 0) performance.mark("numbers");
}

function render() {
  const { range } = read();
  const health = judge(shown);
  showHealth(health);
  showHeadline(shown, range);
  showNodes(shown.nodes);
  search.offer(shown.models);
  setText(byId("step"), seconds(shown.step_s));
  fleet.update(shown);
  jobs.update(shown);
  predictions.update(shown);
  models.update(shown);
  experiments.update(shown);
  // Charts measure themselves, which what is hidden cannot.
  if (!byId("overview").hidden) for (const chart of charts) chart.update(shown, range);
}

function showHealth({ state, words, more, problems }) {
  setAttribute(byId("health"), "data-state", state);
  setText(byId("health-words"), words);
  setText(byId("health-more"), more);
  reconcile(byId("health-list"), problems, (problem) => problem.text, problemItem, () => {});
  setAttribute(byId("health-list"), "hidden", problems.length === 0);
  document.title = state === "ok" ? "nearcast" : `(${problems.length}) nearcast`;
  speak([words, ...problems.map((problem) => problem.text), more].join(". "), words);
}

function problemItem({ level, text, where }) {
  return { node: el("li", { "data-level": level }, el("a", { href: `#${where}` }, text)) };
}

function speak(sentence, words) {
  const now = performance.now();
  if (words === spoken.words && now - spoken.at < SPEAK_MS) return;
  spoken = { at: now, words };
  setText(byId("spoken"), sentence);
}

function showState(state, words, problem) {
  setAttribute(byId("live"), "data-state", state);
  setText(byId("live-text"), words);
  if (state !== "late" && !(state === "waiting" && problem)) return;
  setAttribute(byId("health"), "data-state", "late");
  setText(byId("health-words"), state === "late" ? "No news: these numbers are old" : "The numbers cannot be had");
  setText(byId("health-more"), problem || "The edge that this page asks cannot be reached; it keeps trying.");
  setAttribute(byId("health-list"), "hidden", true);
}

/** The node in the address is offered even while nobody has heard of it. */
function showNodes(nodes) {
  const chosen = read().node ?? WHOLE_FLEET;
  const names = new Set([WHOLE_FLEET, ...nodes.map(({ node }) => node), chosen]);
  const field = byId("node");
  reconcile(field, [...names], (name) => name, (name) => ({ node: el("option", { value: name }, name || "whole fleet") }), () => {});
  if (field.value !== chosen) field.value = chosen;
}

function wireTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const current = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const other = () => (current() === "dark" ? "light" : "dark");
  const show = () => {
    setText(button, other() === "dark" ? "Dark" : "Light");
    setAttribute(button, "aria-label", `Use the ${other()} theme`);
    repaint();
  };
  button.addEventListener("click", () => {
    document.documentElement.dataset.theme = other();
    remember(current());
    show();
  });
  dark.addEventListener("change", show);
  show();
}

function remember(theme) {
  try {
    localStorage.setItem("nearcast-theme", theme);
  } catch {
    // Storage may be forbidden: the choice then lasts as long as the page.
  }
}
