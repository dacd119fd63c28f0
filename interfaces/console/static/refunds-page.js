// All refunds: what waits for my decision first.
import { h } from "/widget/static/dom.js";
import { short } from "/widget/static/time.js";
import { statusChip } from "./refund-card.js";
import { STATUSES, grouped, isOver, money } from "./refund-model.js";
import { RefundView } from "./refund-view.js";
import { address } from "./route.js";
import { SplitPage } from "./split-page.js";
import { since } from "./watch.js";

const MOST = 100;

export class RefundsPage extends SplitPage {
  static tag = "kefu-refunds-page";

  get heading() {
    return this.context.t("refunds");
  }

  get filterLabel() {
    return this.context.t("refund-status");
  }

  get filters() {
    const { t } = this.context;
    return [["", t("all")], ...STATUSES.map((status) => [status, t(`refund-${status}`)])];
  }

  get none() {
    return this.context.t("refund-nothing");
  }

  get pick() {
    return this.context.t("refund-pick");
  }

  // Old ones that still wait must not be hidden behind many new ones.
  async load(status, position) {
    const { api } = this.context.state;
    const asked = status ? [`status=${status}&`] : ["status=requested&", ""];
    const pages = await Promise.all(asked.map((query) => api.get(`/refunds?${query}limit=${MOST}`, since(position))));
    return [...new Map(pages.flatMap((page) => page.data).map((refund) => [refund.id, refund])).values()];
  }

  group(refunds) {
    const groups = grouped(refunds);
    const { value } = this.filter;
    return value && groups.length ? [[`refund-${value}`, groups.flatMap(([, rows]) => rows)]] : groups;
  }

  still(refunds) {
    return refunds.every(isOver);
  }

  row(refund) {
    return [
      h("strong", {}, money(refund)),
      statusChip(this.context, refund),
      h("span", { class: "mute what" }, `${refund.order_reference} · ${refund.reason}`),
      h("time", { class: "mute", datetime: refund.updated_at }, short(refund.updated_at, this.context.lang)),
    ];
  }

  detail(id) {
    return RefundView.of(this.context, id, (position) => this.watch.now(position));
  }

  address(id) {
    return address("refunds", id);
  }
}

customElements.define(RefundsPage.tag, RefundsPage);
