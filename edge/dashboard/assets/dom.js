// Building and changing the page. Text stays text: nothing here reads markup, so no key can become any.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes and children; strings become text. A value of false or null leaves its attribute out. */
export function el(tag, attributes = {}, ...children) {
  return dress(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  return dress(document.createElementNS(SVG, tag), attributes, children);
}

function dress(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) setAttribute(node, name, value);
  node.append(...children);
  return node;
}

/** Sets or removes one attribute; an attribute that stays is left alone, so that observers stay quiet. */
export function setAttribute(node, name, value) {
  if (value === false || value === null || value === undefined) node.removeAttribute(name);
  else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value === true ? "" : value);
}

/** Changes the text of an element that holds nothing else, keeping its text node. */
export function setText(node, text) {
  const held = node.firstChild;
  if (held === null) node.append(text);
  else if (held.data !== text) held.data = text;
}

/** A part of the page that index.html has. */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Makes the children of `parent` match `items` in order, keeping the nodes of keys that stay.
 * What a page shows for hours is thus bounded by what is in it now.
 */
export function reconcile(parent, items, keyOf, make, update) {
  const old = parent.kept ?? new Map();
  const kept = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    if (kept.has(key)) continue;
    const made = old.get(key) ?? make(item);
    old.delete(key);
    kept.set(key, made);
    update(made, item);
    if (made.node === place) place = place.nextSibling;
    else parent.insertBefore(made.node, place);
  }
  for (const gone of old.values()) gone.node.remove();
  parent.kept = kept;
}
