// Refunds as people look at them: tones, order, texts. No DOM, no network.
import { person } from "./life-model.js";

export const STATUSES = ["requested", "approved", "settled", "reversed", "completed", "rejected", "failed"];
const OVER = new Set(["completed", "rejected", "failed"]);
const TONES = {
  requested: "warn",
  approved: "busy",
  settled: "busy",
  reversed: "bad",
  completed: "good",
  rejected: "quiet",
  failed: "bad",
};

export function money({ amount, currency }) {
  return `${amount} ${currency}`;
}

// An amount as the API takes it, or null: "12.3", "¥12.30" and "1,000" become exact decimals.
export function decimal(text) {
  const plain = text.trim().replace(/[\s¥￥$€£]/g, "").replace(/,(?=\d{3}(\D|$))/g, "");
  return /^\d{1,15}(\.\d{1,3})?$/.test(plain) && !/^0+(\.0+)?$/.test(plain) ? plain : null;
}

export function tone(status) {
  return TONES[status] ?? "quiet";
}

// Nothing happens to it any more by itself: it is over, or waits for a person.
export function isOver(refund) {
  return OVER.has(refund.status);
}

export function isMine(refund) {
  return refund.status === "requested" && Boolean(refund.may.approve || refund.may.reject);
}

// [key of a heading, refunds]: what waits for me, for others, the rest; the newest first.
export function grouped(refunds) {
  const groups = { "refund-mine": [], "refund-waiting": [], "refund-others": [] };
  for (const refund of refunds) {
    const key = refund.status !== "requested" ? "refund-others" : refund.may.approve ? "refund-mine" : "refund-waiting";
    groups[key].push(refund);
  }
  return Object.entries(groups)
    .map(([key, rows]) => [key, rows.sort(newest)])
    .filter(([, rows]) => rows.length);
}

function newest(a, b) {
  return a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : 0;
}

// Why somebody of the staff may not approve it, as the key of a text; null: they may, or it is decided.
export function whyNot(refund, me) {
  if (refund.status !== "requested" || me.role === "auditor" || refund.may.approve) return null;
  return refund.requested_by.id === me.id ? "four-eyes" : "may-not";
}

// Who asked or decided; the policy is nobody.
export function by(who, t) {
  return who.kind === "policy" ? t("decided-policy") : person(who, t);
}

// What it means that it is where it is.
export function about(refund, t) {
  const given = refund.given_up ?? [];
  const key = `about-${refund.status}`;
  if (!given.length || !["completed", "failed"].includes(refund.status)) return t(key);
  return t(`${key}-but`, { steps: given.map((name) => stepName(name, t)).join(t("list-comma")) });
}

export function stepName(name, t) {
  const key = `step-${name}`;
  const text = t(key);
  return text === key ? name : text;
}

// Quiet lines of a thread: that it was asked for, and what became of it. [{ at, text }], in order
export function threadLines(refunds, t) {
  const all = refunds.flatMap((refund) => {
    const values = { amount: money(refund), order: refund.order_reference, who: by(refund.requested_by, t) };
    const lines = [{ at: refund.created_at, text: t("line-requested", values) }];
    if (refund.status !== "requested") lines.push({ at: refund.updated_at, text: t(`line-${refund.status}`, values) });
    return lines;
  });
  return all.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}
