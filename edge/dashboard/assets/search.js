// The search box: a model and a key, explained.

import { go } from "./address.js";
import { byId, el, reconcile, setAttribute } from "./dom.js";

/** Listens to the box. */
export function listen() {
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const model = byId("search-model").value.trim();
    const key = byId("search-key").value.trim();
    if (model && key) go({ why: { model, key } });
  });
}

/** Writes into the box what is being explained. */
export function show(why) {
  if (!why) return;
  byId("search-model").value = why.model;
  byId("search-key").value = why.key;
}

/** Offers the models that there are; the only one is filled in. */
export function offer(models) {
  const names = [...new Set(models.map((row) => row.model))].sort();
  reconcile(
    byId("models-known"),
    names,
    (name) => name,
    () => ({ node: el("option") }),
    (made, name) => setAttribute(made.node, "value", name),
  );
  const field = byId("search-model");
  if (names.length === 1 && !field.value) field.value = names[0];
}
