// One-key shortcuts, off while somebody is writing.
import { h } from "/widget/static/dom.js";
import { requestRefund } from "./refund-dialog.js";

const KEYS = [["/", "key-search"], ["j  k", "key-next"], ["r", "key-reply"], ["n", "key-note"], ["e", "key-resolve"], ["f", "key-refund"], ["h", "key-history"], ["?", "key-help"]];

export function installShortcuts(context, { list, thread }) {
  const { state } = context;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, dialog") || document.querySelector("kefu-life")) return;
    if (document.querySelector(".page") && event.key !== "?") return;
    const actions = {
      "/": () => list.search.focus(),
      j: () => list.step(1),
      k: () => list.step(-1),
      r: () => state.open && thread.composer.focus(false),
      n: () => state.open && thread.composer.focus(true),
      e: () => state.open && state.canWrite && toggle(state),
      f: () => requestRefund(context),
      h: () => state.lookBack(),
      "?": () => showShortcuts(context),
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}

export function showShortcuts({ t }) {
  const dialog = h(
    "dialog",
    { "aria-label": t("shortcuts") },
    h("h2", {}, t("shortcuts")),
    h("dl", { class: "keys" }, KEYS.flatMap(([key, text]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, t(text))])),
    h("form", { method: "dialog" }, h("button", { class: "primary" }, "OK")),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

function toggle(state) {
  const status = state.conversation?.status === "open" ? "resolved" : "open";
  state.act("toggle_status", { status });
}
