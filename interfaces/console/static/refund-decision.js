// Approving and rejecting: each asks once more, in a dialog that shows what the API says to it.
import { h } from "/widget/static/dom.js";
import { field, openDialog } from "./dialog.js";
import { money } from "./refund-model.js";

function values(refund) {
  return { amount: money(refund), order: refund.order_reference };
}

export function approve(context, refund) {
  const { t, state } = context;
  return openDialog(context, {
    title: t("approve"),
    body: h("p", {}, t("approve-sure", values(refund))),
    action: t("approve"),
    testid: "approve-dialog",
    send: async () => {
      const answer = await state.api.post(`/refunds/${refund.id}/approve`);
      if (answer.status === "rejected") state.problem(new Error(t("decided-rejected")));
      return answer;
    },
  });
}

export function reject(context, refund) {
  const { t, state } = context;
  const reason = field(
    t("reason"),
    { required: true, maxlength: "1000", autocomplete: "off", "data-testid": "reason-input" },
    { hint: t("reason-kept") },
  );
  return openDialog(context, {
    title: t("reject"),
    body: h("div", {}, h("p", {}, t("reject-sure", values(refund))), reason.element),
    action: t("reject"),
    testid: "reject-dialog",
    send: () => state.api.post(`/refunds/${refund.id}/reject`, { reason: reason.input.value.trim() }),
  });
}
