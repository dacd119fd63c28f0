// One refund in full, with what it rests on, the decision, and its process below.
import { h } from "/widget/static/dom.js";
import { replace } from "./keep-focus.js";
import { evidenceOf } from "./evidence.js";
import { decision, facts, statusChip } from "./refund-card.js";
import { about, isOver, money } from "./refund-model.js";
import { address } from "./route.js";
import { SagaView } from "./saga-view.js";
import { Watch, since } from "./watch.js";

export class RefundView extends HTMLElement {
  static of(context, id, changed) {
    return Object.assign(document.createElement("kefu-refund"), { context, refund: id, changed });
  }

  connectedCallback() {
    const { state } = this.context;
    this.about = h("div", { class: "refund-about" });
    this.evidence = h("div", {});
    this.process = h("div", { class: "refund-process" });
    this.replaceChildren(this.about, this.evidence, this.process);
    this.watch = new Watch({
      load: (position) => state.api.get(`/refunds/${encodeURIComponent(this.refund)}`, since(position)),
      show: (refund) => this.#show(refund),
      settled: isOver,
      problem: (error) => state.problem(error),
    });
    state.addEventListener("refund", this.#pushed);
    this.watch.now();
  }

  disconnectedCallback() {
    this.watch.stop();
    this.context.state.removeEventListener("refund", this.#pushed);
  }

  #pushed = ({ detail }) => detail.refund_id === this.refund && this.watch.nudge();

  #show(refund) {
    const { t, state } = this.context;
    replace(
      this.about,
      h("header", { class: "saga-head" }, h("h2", {}, money(refund)), statusChip(this.context, refund)),
      h("p", { class: "mute", "data-testid": "refund-about" }, about(refund, t)),
      decision(this.context, refund, ({ position }) => {
        this.watch.now(position);
        this.changed(position);
      }),
      h(
        "dl",
        { class: "facts-list", "data-testid": "refund-facts" },
        facts(this.context, refund).flatMap(([key, value]) => [h("dt", {}, t(key)), h("dd", {}, value)]),
        h("dt", {}, t("links")),
        h(
          "dd",
          { class: "links" },
          h("a", { href: "#", "data-focus": "conversation", onclick: () => state.show(refund.conversation_id).catch((e) => state.problem(e)) }, t("open-conversation")),
          refund.saga_id ? h("a", { href: address("processes", refund.saga_id), "data-focus": "process" }, t("open-process")) : null,
        ),
      ),
      refund.lines.length ? this.#lines(refund) : null,
    );
    this.#once("evidence", refund.evidence.length > 0, () => evidenceOf(this.context, refund));
    this.#once("process", Boolean(refund.saga_id), () => SagaView.of(this.context, refund.saga_id, { inRefund: true }));
  }

  // What keeps itself up to date is made once.
  #once(name, wanted, make) {
    if (wanted && !this[name].firstChild) this[name].append(make());
  }

  #lines(refund) {
    const { t } = this.context;
    return h(
      "table",
      { class: "saga-table" },
      h("caption", {}, t("articles")),
      h("thead", {}, h("tr", {}, ["sku", "quantity", "amount"].map((key) => h("th", { scope: "col" }, t(key))))),
      h("tbody", {}, refund.lines.map((line) =>
        h("tr", {}, h("th", { scope: "row" }, line.sku), h("td", {}, String(line.quantity)), h("td", {}, line.amount ? money({ ...line, currency: refund.currency }) : "")),
      )),
    );
  }
}

customElements.define("kefu-refund", RefundView);
