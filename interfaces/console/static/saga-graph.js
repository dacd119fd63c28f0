// A definition's graph of states as the API draws it, with where one saga is in it.
import { GRAPH_WORDS, stateOf } from "./saga-model.js";
import { stepName } from "./refund-model.js";

// The SVG as elements, cleaned of whatever could run or load something; null: it is none.
export function readGraph(text) {
  const found = new DOMParser().parseFromString(text, "image/svg+xml");
  const svg = found.documentElement;
  if (svg.localName !== "svg" || found.querySelector("parsererror")) return null;
  for (const element of [...svg.querySelectorAll("script, style, foreignObject, image, use, a, iframe")]) element.remove();
  for (const element of [svg, ...svg.querySelectorAll("*")]) {
    for (const { name } of [...element.attributes]) {
      if (/^on/i.test(name) || /href$/i.test(name)) element.removeAttribute(name);
    }
  }
  return document.importNode(svg, true);
}

// Marks each step's state by a class, and the current one; says it in the reader's language.
export function markGraph(svg, saga, t) {
  const nodes = new Map();
  for (const text of svg.querySelectorAll("g > text")) nodes.set(text.textContent, text.parentElement);
  for (const step of saga.steps) {
    const state = stateOf(step, saga);
    const now = step.name === saga.step;
    const back = nodes.get(`undo ${step.name}`);
    const undoing = Boolean(back) && (step.key ?? "").endsWith("-undo");
    light(nodes.get(step.name), undoing ? "undone" : state, now && !undoing);
    if (undoing) light(back, state === "undone" ? "done" : state, now);
  }
  // Its ends, and where a person is waited for.
  if (!saga.step || saga.status === "parked") light(nodes.get(saga.status), saga.status === "parked" ? "parked" : "done", true);
  for (const text of svg.querySelectorAll("text")) text.textContent = translated(text.textContent, t);
}

function light(node, state, now) {
  node?.classList.add(`do-${state}`);
  if (now) node?.classList.add("now");
}

function translated(text, t) {
  if (GRAPH_WORDS[text]) return t(GRAPH_WORDS[text]);
  const undone = /^undo (\S+)$/.exec(text);
  return undone ? t("graph-undo", { step: stepName(undone[1], t) }) : stepName(text, t);
}
