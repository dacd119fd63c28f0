// What an operator tells a parked saga: each with a reason, `mark-settled` with the provider's reference.
import { h } from "/widget/static/dom.js";
import { field, openDialog } from "./dialog.js";

export function operate(context, saga, action) {
  const { t, state } = context;
  const reason = field(
    t("reason"),
    { required: true, maxlength: "1000", autocomplete: "off", "data-testid": "reason-input" },
    { hint: t("reason-kept") },
  );
  const settles = action === "mark-settled";
  const reference = field(t("reference"), { required: settles, maxlength: "200", autocomplete: "off", "data-testid": "reference-input" });
  return openDialog(context, {
    title: t(`act-${action}`),
    body: h("div", {}, h("p", {}, t(`about-act-${action}`)), settles ? reference.element : null, reason.element),
    action: t(`act-${action}`),
    tone: action === "force-compensate" ? "danger" : "primary",
    testid: "saga-dialog",
    send: () => {
      const body = { action, reason: reason.input.value.trim() };
      if (settles) body.reference = reference.input.value.trim();
      return state.api.post(`/sagas/${saga.id}/actions`, body);
    },
  });
}
