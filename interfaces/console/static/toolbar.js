// Above the thread: who it is, and what to do with the conversation.
import { h } from "/widget/static/dom.js";
import { requestRefund } from "./refund-dialog.js";

export class Toolbar {
  constructor(context) {
    const { state, t } = context;
    Object.assign(this, { state, t });
    this.title = h("h2", {});
    this.assign = h("select", {
      "aria-label": t("assignee"),
      "data-testid": "assign-select",
      onchange: () => state.act("assignments", { assignee_id: this.assign.value || null }),
    });
    this.snooze = h(
      "select",
      { "aria-label": t("snooze"), "data-testid": "snooze-button", onchange: () => this.#snooze() },
      ["snooze", "snooze-hour", "snooze-tomorrow", "snooze-message", "snooze-custom"].map((key) => h("option", { value: key }, t(key))),
    );
    this.until = h("input", { type: "datetime-local", hidden: true, "aria-label": t("snooze-custom"), onchange: () => this.#until() });
    this.resolve = this.#button("resolve", () => state.act("toggle_status", { status: "resolved" }));
    this.reopen = this.#button("reopen", () => state.act("toggle_status", { status: "open" }));
    const back = h("button", { type: "button", class: "quiet back", "aria-label": t("back"), onclick: () => this.#back() }, "‹");
    // Where there is no room for what stands beside the thread.
    const refund = h("button", { type: "button", class: "narrow", onclick: () => requestRefund(context) }, t("refund"));
    this.actions = h("div", { class: "actions" }, refund, this.assign, this.snooze, this.until, this.resolve, this.reopen);
    this.history = this.#button("history", () => state.lookBack());
    this.element = h("header", { class: "toolbar" }, back, this.title, this.history, this.actions);
  }

  show() {
    const { state, t } = this;
    const row = state.conversation;
    if (!row) return;
    this.title.textContent = row.contact.name || row.contact.identifier || `${t("visitor")} ${row.contact.id.slice(-4)}`;
    this.actions.hidden = !state.canWrite;
    this.history.hidden = !state.canLookBack;
    this.resolve.hidden = row.status === "resolved";
    this.snooze.hidden = row.status !== "open";
    this.reopen.hidden = row.status === "open";
    if (document.activeElement !== this.assign) this.#agents(row);
  }

  #agents(row) {
    const agents = this.state.agents.filter((a) => (a.active && a.role !== "auditor") || a.id === row.assignee_id);
    this.assign.replaceChildren(
      h("option", { value: "" }, `${this.t("assignee")}: ${this.t("nobody")}`),
      ...agents.map((agent) => h("option", { value: agent.id }, agent.id === this.state.me.id ? `${agent.name} (${this.t("mine")})` : agent.name)),
    );
    this.assign.value = row.assignee_id ?? "";
  }

  #snooze() {
    const choice = this.snooze.value;
    this.snooze.value = "snooze";
    const time = new Date();
    if (choice === "snooze-hour") time.setHours(time.getHours() + 1);
    if (choice === "snooze-tomorrow") {
      time.setDate(time.getDate() + 1);
      time.setHours(9, 0, 0, 0);
    }
    if (choice === "snooze-custom") {
      this.until.hidden = false;
      this.until.focus();
      return;
    }
    if (choice === "snooze-message") this.state.act("toggle_status", { status: "snoozed" });
    else this.state.act("toggle_status", { status: "snoozed", snoozed_until: time.toISOString() });
  }

  #until() {
    if (!this.until.value) return;
    const time = new Date(this.until.value);
    this.until.hidden = true;
    this.until.value = "";
    this.state.act("toggle_status", { status: "snoozed", snoozed_until: time.toISOString() });
  }

  #back() {
    this.state.open = null;
    this.state.changed("open");
  }

  #button(key, onclick) {
    return h("button", { type: "button", class: key === "resolve" ? "primary" : "", "data-testid": `${key}-button`, onclick }, this.t(key));
  }
}
