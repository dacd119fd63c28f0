// How many refunds wait for this person's decision, on the link to their page.
import { h } from "/widget/static/dom.js";
import { Watch, since } from "./watch.js";

const EVERY_MS = 30_000; // nobody waits for it; what changes here is counted at once

export function countDecisions({ state, t }, link) {
  if (!state.canWrite) return;
  const badge = h("span", { class: "count", hidden: true, "data-testid": "decision-count" });
  link.append(" ", badge);
  const watch = new Watch({
    load: async (position) => {
      const page = await state.api.get("/refunds?status=requested&limit=200", since(position));
      return page.data.filter((one) => one.may.approve).length;
    },
    show: (n) => {
      badge.hidden = n === 0;
      badge.textContent = String(n);
      badge.title = t("refund-count", { n });
    },
    settled: () => false,
    everyMs: EVERY_MS,
  });
  state.addEventListener("refund", () => watch.nudge());
  state.addEventListener("decided", ({ detail }) => watch.now(detail.position));
  state.addEventListener("change", ({ detail }) => detail === "refunds" && watch.nudge());
  watch.now();
}
