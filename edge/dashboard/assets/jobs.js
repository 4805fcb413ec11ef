// Jobs: when they run next, how they went, and a button that runs one now with the admin token.

import { byId, el, setAttribute, setText } from "./dom.js";
import { ago, number, percent, rate, seconds, time, UNKNOWN } from "./format.js";
import { badge, bar, panel, setBadge, setBar, Table } from "./table.js";

const TOAST_MS = 6000;
/** How runs end; those that wait or are at work have not. */
const LEVELS = { finished: "ok", failed: "bad", "timed out": "bad", refused: "bad", replaced: "warn", skipped: "warn", missed: "warn" };

let now = 0;
/** In this page's memory only, and forgotten when it turns out wrong. */
let token = "";
let hiding = 0;

const jobs = new Table({
  caption: "Declared jobs",
  empty: "No job is declared.",
  keyOf: (job) => job.name,
  columns: [
    { title: "Job", text: (job) => job.name },
    { title: "Next run", text: (job) => (job.paused ? "paused" : ago(job.next_ms, now)) },
    { title: "Last run", make: badge, update: (node, { last }) => setBadge(node, LEVELS[last?.state] ?? "idle", last?.state ?? "never") },
    { title: "Started", number: true, text: ({ last }) => time(last?.started_ms, now) },
    { title: "Took", number: true, text: ({ last }) => took(last) },
    { title: "Done", make: bar, update: (node, { last }) => showProgress(node, last) },
    { title: "Speed", number: true, text: ({ last }) => (last ? `${number(last.rows_per_s)} rows/s` : UNKNOWN) },
    { title: "Failures", number: true, text: ({ last }) => number(last?.failed) },
    { title: "Run now", silent: true, make: runButton, update: (button, job) => setAttribute(button, "data-job", job.name) },
  ],
});

const runs = new Table({
  caption: "Runs under way",
  empty: "Nothing runs at the moment.",
  keyOf: (run) => run.id,
  columns: [
    { title: "Run", text: (run) => `${run.name ?? run.id}` },
    { title: "Started", number: true, text: (run) => ago(run.started_ms, now) },
    { title: "Done", make: bar, update: showProgress },
    { title: "Speed", number: true, text: (run) => `${number(run.rows_per_s)} rows/s` },
    { title: "Failures", number: true, text: (run) => number(run.failed) },
  ],
});

function took(run) {
  return run?.ended_ms ? seconds((run.ended_ms - run.started_ms) / 1000) : UNKNOWN;
}

function showProgress(node, run) {
  if (!run?.total) return setBar(node, null, run ? number(run.done) : UNKNOWN);
  return setBar(node, run.done / run.total, `${number(run.done)} of ${number(run.total)} (${percent(run.done / run.total)})`, run.failed ? "warn" : "ok");
}

function runButton() {
  const button = el("button", { type: "button", class: "quiet" }, "Run now");
  button.addEventListener("click", () => run(button.dataset.job));
  return button;
}

/** The panels. */
export const panels = {
  jobs: panel("jobs", "Jobs", null, jobs.node),
  runs: panel("runs", "Under way", null, runs.node),
};

/** Shows a document in them. */
export function update(document) {
  now = document.now_ms;
  jobs.update(document.jobs);
  runs.update(document.runs);
}

async function run(job) {
  if (!token && !(await ask(job, "Whoever runs a job says who they are: the edge was started with NEARCAST_ADMIN_TOKEN."))) return;
  const response = await post(job);
  if (response.status === 401 || response.status === 403) {
    token = "";
    if (response.status === 401 && (await ask(job, "That was not the token."))) await run(job);
    else say(response.detail, "bad");
    return;
  }
  say(response.ok ? `${job} has been asked to run.` : response.detail, response.ok ? "ok" : "bad");
}

async function post(job) {
  try {
    const path = `/dashboard/jobs/${encodeURIComponent(job)}/run`;
    const response = await fetch(path, { method: "POST", headers: { authorization: `Bearer ${token}` } });
    const body = await response.json().catch(() => ({}));
    return { ok: response.ok, status: response.status, detail: body.detail ?? `${job} was not run: status ${response.status}` };
  } catch {
    return { ok: false, status: 0, detail: `${job} was not run: the edge cannot be reached` };
  }
}

// The first button that submits is what Enter means, so that this one does not.
byId("token-cancel").addEventListener("click", () => byId("token-dialog").close("cancel"));

function ask(job, why) {
  const dialog = byId("token-dialog");
  const field = byId("token");
  setText(byId("token-why"), why);
  setText(byId("token-go"), `Run ${job}`);
  field.value = "";
  dialog.returnValue = "cancel";
  dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    dialog.addEventListener(
      "close",
      () => {
        token = dialog.returnValue === "go" ? field.value : "";
        field.value = "";
        resolve(token !== "");
      },
      { once: true },
    );
  });
}

function say(words, level) {
  const toast = byId("toast");
  setAttribute(toast, "data-level", level);
  setText(toast, words);
  clearTimeout(hiding);
  hiding = setTimeout(() => setText(toast, ""), TOAST_MS);
}
