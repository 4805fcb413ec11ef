// What is shown is what the address says: range, node, and the key that is being explained.

export const RANGES = { "5m": 300, "15m": 900, "1h": 3600, "6h": 21_600, "24h": 86_400 };
export const RANGE_WORDS = { "5m": "5 minutes", "15m": "15 minutes", "1h": "hour", "6h": "6 hours", "24h": "24 hours" };

const DEFAULT_RANGE = "15m";

/** What the address asks for now. */
export function read() {
  const query = new URLSearchParams(location.search);
  const range = query.get("range") ?? "";
  return {
    range: Object.hasOwn(RANGES, range) ? range : DEFAULT_RANGE,
    node: query.get("node") || null,
    why: split(query.get("why")),
  };
}

/** A model and a key from `model/key`; the key may hold slashes. */
function split(text) {
  const at = text?.indexOf("/") ?? -1;
  return at > 0 && at < text.length - 1 ? { model: text.slice(0, at), key: text.slice(at + 1) } : null;
}

/** The address that differs from now in some points. */
export function href(changes) {
  const wanted = { ...read(), ...changes };
  const query = new URLSearchParams();
  if (wanted.range !== DEFAULT_RANGE) query.set("range", wanted.range);
  if (wanted.node) query.set("node", wanted.node);
  if (wanted.why) query.set("why", `${wanted.why.model}/${wanted.why.key}`);
  const text = query.toString();
  return text ? `${location.pathname}?${text}` : location.pathname;
}

/** Goes there without loading the page anew. */
export function go(changes) {
  const target = href(changes);
  if (target !== location.pathname + location.search) history.pushState(null, "", target);
  dispatchEvent(new Event("address"));
}

/** Calls back on each change, whether by a link, by the page or by the back button. */
export function onChange(callback) {
  addEventListener("address", callback);
  addEventListener("popstate", callback);
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[data-within]");
    const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (!link || !plain) return;
    event.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    callback();
  });
}
