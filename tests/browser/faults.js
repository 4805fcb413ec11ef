() => {
  const root = document.documentElement;
  const faults = new Set();
  const boxes = (node) => (node === document.body ? [] : [node, ...boxes(node.parentElement)]);
  // What is clipped altogether is for screen readers, and an option is drawn by the system.
  const unseen = (box) => getComputedStyle(box).clipPath !== "none" || box.matches(".skip, datalist, select");
  const seen = (node) => node.checkVisibility({ visibilityProperty: true }) && !boxes(node).some(unseen);
  const wide = (node) => node.scrollWidth > node.clientWidth + 1;
  const high = (node) => node.scrollHeight > node.clientHeight + 1;

  const texts = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walker.nextNode()); ) {
    const words = node.data.trim().slice(0, 60);
    if (!words || !seen(node.parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const box of range.getClientRects()) {
      texts.push({ box, words });
      if (box.left < -0.5 || box.right > root.clientWidth + 0.5) faults.add(`outside: ${words}`);
    }
    for (const box of boxes(node.parentElement)) {
      const name = `${box.tagName}.${box.className}#${box.id}`;
      const style = getComputedStyle(box);
      // An inline box has no size of its own, and what scrolls may be larger.
      if (style.display !== "inline" && style.overflowX !== "auto" && wide(box)) faults.add(`too narrow: ${name}`);
      if (style.overflowY === "hidden" && high(box)) faults.add(`too low: ${name}`);
    }
  }

  const shared = (a, b, from, to) => Math.min(a[to], b[to]) - Math.max(a[from], b[from]);
  const touch = (a, b) => shared(a, b, "left", "right") > 1 && shared(a, b, "top", "bottom") > 3;
  texts.forEach((a, i) => {
    for (const b of texts.slice(i + 1)) if (touch(a.box, b.box)) faults.add(`overlap: ${a.words} / ${b.words}`);
  });

  if (wide(root)) faults.add(`the page is ${root.scrollWidth} wide`);
  return [...faults];
}
