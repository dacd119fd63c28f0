// A definition's graph of states as the API draws it, with where one saga is in it.
import { stateOf } from "./saga-model.js";

// The SVG as elements, cleaned of whatever could run or load something; null: it is none.
export function readGraph(text) {
  const found = new DOMParser().parseFromString(text, "image/svg+xml");
  const svg = found.documentElement;
  if (svg.localName !== "svg" || found.querySelector("parsererror")) return null;
  for (const element of [...svg.querySelectorAll("script, foreignObject, image, use, a, iframe")]) element.remove();
  for (const element of [svg, ...svg.querySelectorAll("*")]) {
    for (const { name } of [...element.attributes]) {
      if (/^on/i.test(name) || /href$/i.test(name)) element.removeAttribute(name);
    }
  }
  return document.importNode(svg, true);
}

// Marks each step's state by a class, and the current one.
export function markGraph(svg, saga) {
  for (const step of saga.steps) {
    for (const element of nodes(svg, step.name)) {
      element.classList.add(`do-${stateOf(step, saga)}`);
      element.classList.toggle("now", step.name === saga.step);
    }
  }
}

function nodes(svg, step) {
  const found = [...svg.querySelectorAll(`[data-step="${CSS.escape(step)}"]`)];
  if (found.length) return found;
  const texts = [...svg.querySelectorAll("text")].filter((text) => text.textContent.trim() === step);
  return texts.map((text) => text.closest("g") ?? text);
}
