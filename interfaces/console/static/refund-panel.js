// Beside a thread: the conversation's refunds, with live steps, and the way to ask for one.
import { h } from "/widget/static/dom.js";
import { replace } from "./keep-focus.js";
import { card } from "./refund-card.js";
import { requestRefund } from "./refund-dialog.js";

export class RefundPanel extends HTMLElement {
  static of(context) {
    return Object.assign(document.createElement("kefu-refunds"), { context });
  }

  connectedCallback() {
    const { t, state } = this.context;
    this.list = h("div", { class: "refunds", role: "region", "aria-live": "polite", "aria-label": t("refunds"), "data-testid": "refund-panel" });
    this.ask = h("button", { type: "button", "data-testid": "refund-request", onclick: () => requestRefund(this.context) }, t("refund-request"));
    this.replaceChildren(h("h3", {}, t("refunds")), this.list, this.ask);
    state.addEventListener("change", this.#changed);
    this.#show();
  }

  disconnectedCallback() {
    this.context.state.removeEventListener("change", this.#changed);
  }

  #changed = ({ detail }) => {
    if (detail === "refunds" || detail === "open" || detail === "inbox") this.#show(detail);
  };

  #show() {
    const { t, state, refunds } = this.context;
    this.ask.hidden = !state.canWrite || state.conversation?.status === "resolved";
    const cards = refunds.refunds.map((refund) =>
      card(this.context, refund, { saga: refunds.saga(refund), decided: ({ position }) => refunds.now(position) }),
    );
    replace(this.list, cards.length ? cards : h("p", { class: "mute" }, t("refund-none")));
  }
}

customElements.define("kefu-refunds", RefundPanel);
