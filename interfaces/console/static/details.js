// Beside the thread: the contact, priority and labels.
import { h } from "/widget/static/dom.js";
import { day } from "/widget/static/time.js";
import { Privacy } from "./privacy.js";
import { RefundPanel } from "./refund-panel.js";

const PRIORITIES = ["low", "medium", "high", "urgent"];

export class Details {
  constructor(context) {
    const { state, t, lang } = context;
    Object.assign(this, { state, t, lang });
    this.privacy = new Privacy(context);
    this.facts = h("dl", {});
    this.priority = h(
      "select",
      { "aria-label": t("priority"), "data-testid": "priority-select", onchange: () => state.act("toggle_priority", { priority: this.priority.value || null }) },
      h("option", { value: "" }, t("nobody")),
      PRIORITIES.map((key) => h("option", { value: key }, t(key))),
    );
    this.labels = h("ul", { class: "labels" });
    this.input = h("input", { placeholder: t("add-label"), "aria-label": t("add-label"), maxlength: "50", "data-testid": "label-input" });
    this.form = h("form", { onsubmit: (event) => this.#add(event) }, this.input);
    this.element = h(
      "aside",
      { class: "details", "aria-label": t("details"), hidden: true },
      h("h3", {}, t("contact")),
      this.facts,
      h("h3", {}, t("priority")),
      this.priority,
      h("h3", {}, t("labels")),
      this.labels,
      this.form,
      RefundPanel.of(context),
      this.privacy.element,
    );
    state.addEventListener("change", () => this.show());
  }

  show() {
    const { state, t, lang } = this;
    const row = state.conversation;
    this.element.hidden = !row;
    if (!row) return;
    const { contact } = row;
    this.facts.replaceChildren(
      ...[
        ["name", contact.name],
        ["email", contact.email],
        ["identifier", contact.identifier && `${contact.identifier} (${t(contact.verified ? "verified" : "unverified")})`],
        ["created", day(row.created_at, lang)],
      ].flatMap(([key, value]) => (value ? [h("dt", {}, t(key)), h("dd", {}, value)] : [])),
    );
    this.priority.disabled = !state.canWrite;
    this.form.hidden = !state.canWrite;
    if (document.activeElement !== this.priority) this.priority.value = row.priority ?? "";
    this.privacy.show();
    this.labels.replaceChildren(...row.labels.map((label) => this.#label(label, row.labels)));
  }

  #label(label, all) {
    const remove = h(
      "button",
      {
        type: "button",
        "aria-label": this.t("remove-label", { label }),
        onclick: () => this.state.act("labels", { labels: all.filter((one) => one !== label) }),
      },
      "×",
    );
    return h("li", { class: "chip" }, label, this.state.canWrite ? remove : null);
  }

  #add(event) {
    event.preventDefault();
    const label = this.input.value.trim();
    if (!label) return;
    this.input.value = "";
    this.state.act("labels", { labels: [...new Set([...this.state.conversation.labels, label])] });
  }
}
