// "Request a refund": what the API wants to know, the evidence picked from the thread.
import { h } from "/widget/static/dom.js";
import { newRef } from "/widget/static/thread.js";
import { FormProblem, field, openDialog } from "./dialog.js";
import { Evidence } from "./evidence-picker.js";
import { Lines } from "./refund-lines.js";
import { decimal } from "./refund-model.js";

const CURRENCY = "kefu.currency"; // the one asked for last, on this machine
const CURRENCIES = ["CNY", "USD", "EUR", "GBP", "JPY", "HKD", "SGD"];

export async function requestRefund(context) {
  const { t, state, refunds } = context;
  const conversation = state.open;
  if (!conversation || !state.canWrite) return;
  const order = field(t("order"), { required: true, maxlength: "200", autocomplete: "off", "data-testid": "refund-order" });
  const amount = field(t("amount"), { required: true, inputmode: "decimal", placeholder: "12.30", autocomplete: "off", "data-testid": "refund-amount" });
  const currency = field(t("currency"), {
    required: true, pattern: "[A-Za-z]{3}", maxlength: "3", list: "refund-currencies", autocomplete: "off",
    value: localStorage.getItem(CURRENCY) ?? "CNY", "data-testid": "refund-currency",
  });
  const reason = field(
    t("reason"),
    { required: true, maxlength: "1000", placeholder: t("reason-hint"), autocomplete: "off", "data-testid": "refund-reason" },
  );
  const lines = new Lines(context);
  const evidence = new Evidence(context, state.thread(conversation).messages);
  let last = { text: "", key: "" };

  const answer = await openDialog(context, {
    title: t("refund-request"),
    testid: "refund-dialog",
    action: t("refund-request"),
    body: h(
      "div",
      { class: "refund-form" },
      order.element,
      h("div", { class: "pair" }, amount.element, currency.element),
      h("datalist", { id: "refund-currencies" }, CURRENCIES.map((code) => h("option", { value: code }))),
      reason.element,
      evidence.element,
      lines.element,
    ),
    send: () => {
      const body = read();
      // The same content again, after a lost answer, is the same refund; another one is not.
      const text = JSON.stringify(body);
      if (text !== last.text) last = { text, key: newRef() };
      return state.api.post(`/conversations/${conversation}/refunds`, body, { "Idempotency-Key": last.key });
    },
  });
  if (!answer) return;
  localStorage.setItem(CURRENCY, currency.input.value.toUpperCase());
  refunds.now(answer.position);

  function read() {
    const exact = decimal(amount.input.value);
    if (exact === null) throw new FormProblem(t("amount-wrong"), amount.input);
    return {
      order_reference: order.input.value.trim(),
      amount: exact,
      currency: currency.input.value.trim().toUpperCase(),
      reason: reason.input.value.trim(),
      lines: lines.read(),
      evidence: evidence.chosen,
    };
  }
}
