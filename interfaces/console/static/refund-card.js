// One refund: how much, for what, where it is, and what may be decided.
import { h } from "/widget/static/dom.js";
import { about, by, money, tone, whyNot } from "./refund-model.js";
import { approve, reject } from "./refund-decision.js";
import { stepList } from "./saga-steps.js";
import { moment } from "./span.js";

export function statusChip({ t }, refund) {
  return h("span", { class: `chip tone-${tone(refund.status)}`, "data-testid": "refund-status", "data-status": refund.status }, t(`refund-${refund.status}`));
}

// Short, for beside a thread.
export function card(context, refund, { saga = null, decided }) {
  const { t } = context;
  return h(
    "article",
    { class: "refund", "data-testid": "refund", "data-refund-id": refund.id, "aria-label": `${t("refund")} ${money(refund)}` },
    h("header", {}, h("strong", {}, money(refund)), statusChip(context, refund)),
    h("p", { class: "mute" }, `${t("order")}: ${refund.order_reference}`),
    h("p", {}, refund.reason),
    saga ? stepList(context, saga) : h("p", { class: "mute" }, about(refund, t)),
    refund.rejection ? h("p", { class: "mute" }, `${t("rejection")}: ${refund.rejection.reason}`) : null,
    decision(context, refund, decided),
    h("a", { href: `#refunds/${refund.id}`, "data-focus": `open-${refund.id}`, "data-testid": "refund-open" }, t("open-refund")),
  );
}

// Approve and reject, as far as `may` says, and why not.
export function decision(context, refund, decided) {
  const { t, state } = context;
  const why = whyNot(refund, state.me);
  const buttons = [
    refund.may.approve && ["approve", "primary", approve],
    refund.may.reject && ["reject", "", reject],
  ].filter(Boolean);
  if (!buttons.length && !why) return null;
  return h(
    "div",
    { class: "decide" },
    why ? h("p", { class: "hint", "data-testid": "refund-why-not" }, t(why)) : null,
    buttons.map(([key, look, act]) =>
      h(
        "button",
        {
          type: "button",
          class: look,
          "data-testid": `refund-${key}`,
          "data-focus": `${key}-${refund.id}`,
          onclick: async () => {
            const answer = await act(context, refund);
            if (!answer) return;
            decided(answer);
            state.dispatchEvent(new CustomEvent("decided", { detail: answer }));
          },
        },
        t(key),
      ),
    ),
  );
}

// All that is known of it, as terms and values.
export function facts(context, refund) {
  const { t, lang } = context;
  return [
    ["order", refund.order_reference],
    ["reason", refund.reason],
    ["requested-by", `${by(refund.requested_by, t)} · ${moment(refund.created_at, lang)}`],
    ["decided-by", refund.decided_by && by(refund.decided_by, t)],
    ["rule", refund.rule && t(`rule-${refund.rule}`)],
    ["rejection", refund.rejection?.reason],
    ["refund-reference", refund.reference],
    ["failure", refund.failure],
  ].filter(([, value]) => value);
}
