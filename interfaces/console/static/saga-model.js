// Sagas as people look at them: order, ages, what an operator may do. No DOM, no network.
export const STATUSES = ["running", "settling", "unknown", "compensating", "parked", "completed", "compensated"];
export const ACTIVE = ["parked", "unknown", "compensating", "settling", "running"];
const OVER = new Set(["completed", "compensated"]);
const TONES = {
  running: "busy",
  settling: "busy",
  unknown: "warn",
  compensating: "warn",
  parked: "bad",
  completed: "good",
  compensated: "quiet",
};
const MARKS = { todo: "○", running: "◐", done: "●", failed: "✕", undone: "↺", "given-up": "–", skipped: "⤼", parked: "‖" };
// What stands in a drawn graph beside the steps' names, and the text for it.
export const GRAPH_WORDS = {
  done: "graph-done",
  undone: "graph-undone",
  "not undone": "graph-not-undone",
  declined: "graph-declined",
  "declined or too late": "graph-declined-late",
  "unknown or too late": "graph-unknown-late",
  "done or given up": "graph-done-given-up",
  "a person decides": "graph-person",
  parked: "saga-parked",
  completed: "saga-completed",
  compensated: "saga-compensated",
};
const FOR_AGENTS = new Set(["retry"]);
const paysAnew = (saga) => saga.parked?.reason === "reversed";

export function tone(status) {
  return TONES[status] ?? "quiet";
}

export function isOver(saga) {
  return OVER.has(saga.status);
}

// Nothing happens by itself: it is over, or a person is waited for.
export function isStill(saga) {
  return isOver(saga) || saga.status === "parked";
}

export function mark(state) {
  return MARKS[state] ?? "○";
}

// A step's state for people: one that a person is waited for is not under way.
export function stateOf(step, saga) {
  return saga.status === "parked" && step.name === saga.step && step.state === "running" ? "parked" : step.state;
}

// [key of a heading, sagas]: parked, overdue, the rest; the oldest first.
export function grouped(sagas) {
  const groups = { "saga-first": [], "saga-overdue": [], "saga-others": [] };
  for (const saga of sagas) {
    const key = saga.status === "parked" ? "saga-first" : saga.overdue && !isOver(saga) ? "saga-overdue" : "saga-others";
    groups[key].push(saga);
  }
  return Object.entries(groups)
    .map(([key, rows]) => [key, rows.sort(oldest)])
    .filter(([, rows]) => rows.length);
}

function oldest(a, b) {
  return a.started_at < b.started_at ? -1 : a.started_at > b.started_at ? 1 : 0;
}

// What this person may tell a parked saga.
export function actions(saga, me) {
  if (saga.status !== "parked" || me.role === "auditor") return [];
  const all = saga.parked?.next_actions ?? [];
  return me.role === "admin" ? all : all.filter((action) => FOR_AGENTS.has(action) && !paysAnew(saga));
}

// Key of the call that matters now: of the running step, else of the last that has one.
export function currentKey(saga) {
  const called = saga.steps.filter((step) => step.key);
  return (called.find((step) => step.name === saga.step) ?? called.at(-1))?.key ?? null;
}
