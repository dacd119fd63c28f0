// Messages of the thread to choose from: what a refund rests on.
import { h } from "/widget/static/dom.js";
import { clock } from "/widget/static/time.js";

const MOST = 20;

export class Evidence {
  constructor({ t, lang }, messages) {
    this.t = t;
    const rows = messages.filter((message) => message.recalled_at === null).map((message) => this.#row(message, lang));
    this.boxes = rows.map((row) => row.querySelector("input"));
    this.count = h("small", { class: "mute", "aria-live": "polite" });
    this.list = h("div", { class: "evidence" }, rows.length ? rows : h("p", { class: "mute" }, t("evidence-none")));
    this.element = h("fieldset", { class: "field", "data-testid": "evidence" }, h("legend", {}, t("evidence")), this.list, this.count);
    this.#changed();
    // The newest are the likeliest, and at the end.
    requestAnimationFrame(() => (this.list.scrollTop = this.list.scrollHeight));
  }

  get chosen() {
    return this.boxes.filter((box) => box.checked).map((box) => box.value);
  }

  #row(message, lang) {
    const { t } = this;
    const box = h("input", { type: "checkbox", value: message.message_id, "data-testid": "evidence-box", onchange: () => this.#changed() });
    const name = message.author.name || t(message.author.kind === "visitor" ? "visitor" : "agent");
    const who = `${name} · ${clock(message.created_at, lang)}${message.private ? ` · ${t("note")}` : ""}`;
    return h("label", {}, box, h("span", {}, h("small", { class: "mute" }, who), message.content));
  }

  #changed() {
    const n = this.chosen.length;
    this.count.textContent = this.t("evidence-count", { n });
    for (const box of this.boxes) box.disabled = n >= MOST && !box.checked;
  }
}
