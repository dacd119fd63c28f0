// Reconnect delays: exponential with full jitter, so that a thousand clients do not come back at once.
const FIRST_MS = 500;
const LAST_MS = 15_000;

export function delayMs(attempt, random = Math.random) {
  const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling * (0.5 + random() / 2));
}
