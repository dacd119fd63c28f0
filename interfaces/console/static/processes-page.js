// All sagas: parked and overdue first, the oldest first in each.
import { h } from "/widget/static/dom.js";
import { stepName } from "./refund-model.js";
import { address } from "./route.js";
import { ACTIVE, STATUSES, grouped, isOver } from "./saga-model.js";
import { SagaView, named, statusChip } from "./saga-view.js";
import { age } from "./span.js";
import { SplitPage } from "./split-page.js";

const MOST = 100;

export class ProcessesPage extends SplitPage {
  static tag = "kefu-processes-page";

  get heading() {
    return this.context.t("processes");
  }

  get filterLabel() {
    return this.context.t("saga-filter");
  }

  get filters() {
    const { t } = this.context;
    return [["", t("saga-active")], ...STATUSES.map((status) => [status, t(`saga-${status}`)])];
  }

  get none() {
    return this.context.t("saga-nothing");
  }

  get pick() {
    return this.context.t("saga-pick");
  }

  async load(status) {
    const { api } = this.context.state;
    const asked = status ? [status] : ACTIVE;
    const pages = await Promise.all(asked.map((one) => api.get(`/sagas?status=${one}&limit=${MOST}`)));
    return pages.flatMap((page) => page.data);
  }

  group(sagas) {
    const groups = grouped(sagas);
    const { value } = this.filter;
    return value && groups.length ? [[`saga-${value}`, groups.flatMap(([, rows]) => rows)]] : groups;
  }

  // The list of those that are not over may grow at any time.
  still(sagas) {
    return this.filter.value !== "" && sagas.every(isOver);
  }

  row(saga) {
    const { t, lang } = this.context;
    const over = isOver(saga);
    return [
      h("strong", {}, named(t, `def-${saga.definition}`, saga.definition)),
      h("span", { class: "chips" }, statusChip(this.context, saga), saga.overdue && !over ? h("span", { class: "chip tone-bad" }, t("overdue")) : null),
      h("span", { class: "mute what" }, [saga.step && stepName(saga.step, t), saga.parked && named(t, `park-${saga.parked.reason}`, saga.parked.reason), saga.id.slice(0, 8)].filter(Boolean).join(" · ")),
      h("time", { class: "mute", datetime: saga.started_at }, age(saga.started_at, lang)),
    ];
  }

  detail(id) {
    return SagaView.of(this.context, id);
  }

  address(id) {
    return address("processes", id);
  }
}

customElements.define(ProcessesPage.tag, ProcessesPage);
