// A saga's steps, one below the other, each with what became of it.
import { h } from "/widget/static/dom.js";
import { stepName } from "./refund-model.js";
import { mark, stateOf } from "./saga-model.js";

export function stepList({ t }, saga) {
  return h(
    "ol",
    { class: "saga-steps", "aria-label": t("steps"), "data-testid": "saga-steps" },
    saga.steps.map((step) => {
      const state = stateOf(step, saga);
      return h(
        "li",
        { class: `do-${state}`, "data-step": step.name, "data-state": step.state, "aria-current": step.name === saga.step ? "step" : null },
        h("span", { class: "mark", "aria-hidden": "true" }, mark(state)),
        h("span", {}, stepName(step.name, t)),
        h("small", { class: "mute" }, step.attempts > 1 ? `${t(`do-${state}`)} · ×${step.attempts}` : t(`do-${state}`)),
      );
    }),
  );
}
