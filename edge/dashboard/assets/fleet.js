// Tables about who does the work: edges, workers, queues, and the scheduler that leads.

import { href } from "./address.js";
import { el, setAttribute, setText } from "./dom.js";
import { ago, number, percent, rate, seconds } from "./format.js";
import { badge, panel, setBadge, Table, within } from "./table.js";

let now = 0;

const nodes = new Table({
  caption: "Edge nodes",
  empty: "No edge has written numbers yet.",
  keyOf: (node) => node.node,
  columns: [
    { title: "Node", make: within, update: showNode },
    { title: "State", make: badge, update: (mark, node) => setBadge(mark, node.alive ? "ok" : "bad", node.alive ? "alive" : `last seen ${ago(node.last_seen_ms, now)}`) },
    { title: "Processes", number: true, text: (node) => number(node.processes) },
    { title: "Requests", number: true, text: (node) => rate(node.requests_per_s) },
    { title: "Hit ratio", number: true, text: (node) => percent(node.hit_ratio) },
    { title: "Lag", number: true, text: (node) => seconds(node.lag_s) },
  ],
});

function showNode(link, { node }) {
  setText(link, node);
  setAttribute(link, "href", href({ node }));
  setAttribute(link, "title", `Show only ${node}`);
}

const workers = new Table({
  caption: "Workers, alive by progress",
  empty: "No worker has reported.",
  keyOf: (worker) => worker.name,
  columns: [
    { title: "Worker", text: (worker) => worker.name },
    { title: "State", make: badge, update: (mark, worker) => setBadge(mark, worker.alive ? "ok" : "bad", worker.alive ? "alive" : "no progress") },
    { title: "Last progress", number: true, text: (worker) => ago(worker.last_progress_ms, now) },
    { title: "Rows", number: true, text: (worker) => rate(worker.rows_per_s) },
  ],
});

const queues = new Table({
  caption: "Queues",
  empty: "No queue is known.",
  keyOf: (queue) => queue.name,
  columns: [
    { title: "Queue", text: (queue) => queue.name },
    { title: "Depth", number: true, text: (queue) => number(queue.depth) },
    { title: "Oldest", number: true, text: (queue) => seconds(queue.oldest_s) },
  ],
});

const leader = el("p", { class: "fact" });

/** The panels. */
export const panels = {
  nodes: panel("nodes", "Edges", "Choose one to see its numbers alone.", nodes.node),
  workers: panel("workers", "Workers", null, workers.node),
  queues: panel("queues", "Queues and scheduler", null, queues.node, leader),
};

/** Shows a document in all of them. */
export function update(document) {
  now = document.now_ms;
  nodes.update(document.nodes);
  workers.update(document.workers);
  queues.update(document.queues);
  const who = document.leader;
  setText(leader, who ? `Scheduler ${who.name} has led for ${seconds(Math.round((now - who.since_ms) / 1000))}.` : "No scheduler leads.");
}
