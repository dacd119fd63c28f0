// One saga: where it is, its graph, its steps with keys, its timeline, and what an operator may do.
import { h } from "/widget/static/dom.js";
import { replace } from "./keep-focus.js";
import { stepName } from "./refund-model.js";
import { actions, currentKey, isStill, mark, stateOf, tone } from "./saga-model.js";
import { operate } from "./saga-actions.js";
import { markGraph, readGraph } from "./saga-graph.js";
import { age, moment, until } from "./span.js";
import { timeline } from "./saga-timeline.js";
import { Watch, since } from "./watch.js";

export class SagaView extends HTMLElement {
  #definition = null;

  // inRefund: it is shown as part of its refund, and needs no way there.
  static of(context, id, { inRefund = false } = {}) {
    return Object.assign(document.createElement("kefu-saga"), { context, saga: id, inRefund });
  }

  connectedCallback() {
    const { state, definitions } = this.context;
    this.watch = new Watch({
      load: async (position) => {
        const saga = await state.api.get(`/sagas/${encodeURIComponent(this.saga)}`, since(position));
        this.#definition = await definitions.get(saga.definition, saga.version);
        return saga;
      },
      show: (saga) => this.#show(saga),
      settled: isStill,
      problem: (error) => state.problem(error),
    });
    state.addEventListener("refund", this.#pushed);
    this.watch.now();
  }

  disconnectedCallback() {
    this.watch.stop();
    this.context.state.removeEventListener("refund", this.#pushed);
  }

  #pushed = ({ detail }) => {
    // A refund's saga has the refund's id; others are not told of.
    if (detail.refund_id === this.saga) this.watch.nudge();
  };

  #show(saga) {
    const { t } = this.context;
    replace(
      this,
      h(
        "header",
        { class: "saga-head" },
        h("h2", {}, `${named(t, `def-${saga.definition}`, saga.definition)} · v${saga.version}`),
        statusChip(this.context, saga),
        saga.overdue ? h("span", { class: "chip tone-bad" }, t("overdue")) : null,
      ),
      h("p", { class: "mute" }, t(`about-saga-${saga.status}`)),
      this.#parked(saga),
      this.#facts(saga),
      this.#graph(saga),
      this.#steps(saga),
      h("h3", {}, t("timeline")),
      timeline(this.context, saga),
    );
  }

  #parked(saga) {
    const { t, state } = this.context;
    if (!saga.parked) return null;
    const may = actions(saga, state.me);
    const more = state.me.role === "agent" && may.length < saga.parked.next_actions.length;
    return h(
      "section",
      { class: "parked", "aria-label": t("saga-parked"), "data-testid": "saga-parked" },
      h("p", {}, h("strong", {}, named(t, `park-${saga.parked.reason}`, saga.parked.reason))),
      saga.parked.detail ? h("p", { class: "mute" }, saga.parked.detail) : null,
      h(
        "div",
        { class: "decide" },
        may.map((action) =>
          h(
            "button",
            { type: "button", title: t(`about-act-${action}`), "data-testid": `saga-${action}`, "data-focus": `act-${action}`, onclick: () => this.#operate(saga, action) },
            t(`act-${action}`),
          ),
        ),
      ),
      more ? h("p", { class: "hint" }, t("act-admin")) : null,
    );
  }

  async #operate(saga, action) {
    const answer = await operate(this.context, saga, action);
    if (answer) this.watch.now(answer.position);
  }

  #facts(saga) {
    const { t, lang, state } = this.context;
    const over = saga.status === "completed" || saga.status === "compensated";
    const rows = [
      ["step", saga.step && stepName(saga.step, t)],
      ["attempts", saga.attempts ? String(saga.attempts) : null],
      ["key", saga.step && currentKey(saga)],
      ["next-timer", saga.next_timer_at ? `${until(saga.next_timer_at, lang)} · ${moment(saga.next_timer_at, lang)}` : over ? null : t("no-timer")],
      ["started", `${moment(saga.started_at, lang)}${over ? "" : ` · ${age(saga.started_at, lang)}`}`],
    ];
    const links = [
      saga.definition === "refund" && !this.inRefund ? h("a", { href: `#refunds/${saga.id}`, "data-focus": "refund" }, t("refund")) : null,
      saga.conversation_id && !this.inRefund ? h("a", { href: "#", "data-focus": "conversation", onclick: () => state.show(saga.conversation_id).catch((e) => state.problem(e)) }, t("open-conversation")) : null,
    ];
    return h(
      "dl",
      { class: "facts-list", "data-testid": "saga-facts" },
      rows.flatMap(([key, value]) => (value ? [h("dt", {}, t(key === "step" ? "current-step" : key)), h("dd", { class: key === "key" ? "code" : "" }, value)] : [])),
      this.inRefund ? null : [h("dt", {}, t("links")), h("dd", { class: "links" }, links)],
    );
  }

  #graph(saga) {
    const { t } = this.context;
    const svg = this.#definition?.svg ? readGraph(this.#definition.svg) : null;
    if (!svg) return null;
    markGraph(svg, saga, t);
    const label = saga.step ? t("graph-now", { step: stepName(saga.step, t) }) : t("graph");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    return h("figure", { class: "graph", tabindex: "0", "aria-label": t("graph"), "data-focus": "graph", "data-testid": "saga-graph" }, svg);
  }

  #steps(saga) {
    const { t } = this.context;
    const heads = ["what", "kind", "status", "key", "reference", "attempts"];
    return h(
      "div",
      { class: "wide" },
      h(
        "table",
        { class: "saga-table", "data-testid": "saga-table" },
        h("caption", {}, t("steps")),
        h("thead", {}, h("tr", {}, heads.map((key) => h("th", { scope: "col" }, t(key === "what" ? "step-name" : key))))),
        h("tbody", {}, saga.steps.map((step) =>
          h(
            "tr",
            { class: `do-${stateOf(step, saga)}`, "data-step": step.name, "data-state": step.state, "aria-current": step.name === saga.step ? "step" : null },
            h("th", { scope: "row" }, stepName(step.name, t)),
            h("td", {}, named(t, `kind-${step.kind}`, step.kind)),
            h("td", {}, `${mark(stateOf(step, saga))} ${t(`do-${stateOf(step, saga)}`)}`),
            h("td", { class: "code" }, step.key ?? ""),
            h("td", { class: "code" }, step.reference ?? ""),
            h("td", {}, step.attempts ? String(step.attempts) : ""),
          ),
        )),
      ),
    );
  }
}

export function statusChip({ t }, saga) {
  return h("span", { class: `chip tone-${tone(saga.status)}`, "data-testid": "saga-status", "data-status": saga.status }, t(`saga-${saga.status}`));
}

// A text, or the word of the API itself where a newer server says what this page does not know.
export function named(t, key, word) {
  const text = t(key);
  return text === key ? word : text;
}

customElements.define("kefu-saga", SagaView);
