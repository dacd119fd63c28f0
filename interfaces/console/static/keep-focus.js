// Replace what an element shows without disturbing who works in it: what carries the same `data-focus`
// gets the focus back, and `<details>` whose summary has one stay open.

export function replace(root, ...children) {
  const active = document.activeElement;
  const focused = root.contains(active) ? active.closest("[data-focus]")?.dataset.focus : null;
  const open = [...root.querySelectorAll("details[open] > summary[data-focus]")].map((one) => one.dataset.focus);
  root.replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  for (const key of open) find(root, key)?.parentElement.setAttribute("open", "");
  if (focused) find(root, focused)?.focus({ preventScroll: true });
}

function find(root, key) {
  return root.querySelector(`[data-focus="${CSS.escape(key)}"]`);
}
