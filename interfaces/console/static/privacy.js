// For administrators, beside the thread: erase the person, keep the conversation as evidence.
import { h } from "/widget/static/dom.js";
import { FormProblem, field, openDialog } from "./dialog.js";

export class Privacy {
  constructor(context) {
    const { t } = context;
    this.context = context;
    this.hold = h("p", { class: "hint", "data-testid": "legal-hold" });
    this.holdButton = h("button", { type: "button", "data-testid": "hold-button", onclick: () => this.#hold() });
    this.eraseButton = h("button", { type: "button", class: "danger", "data-testid": "erase-button", onclick: () => this.#erase() }, t("erase"));
    this.buttons = h("div", { class: "decide" }, this.holdButton, this.eraseButton);
    this.element = h("section", { "aria-label": t("privacy") }, h("h3", {}, t("privacy")), this.hold, this.buttons);
  }

  show() {
    const { state, t } = this.context;
    const row = state.conversation;
    const admin = state.me.role === "admin";
    this.element.hidden = !row || (!admin && !row.legal_hold);
    if (this.element.hidden) return;
    this.hold.hidden = !row.legal_hold;
    this.hold.textContent = row.legal_hold ? t("hold", { reason: row.legal_hold.reason }) : "";
    this.buttons.hidden = !admin;
    this.holdButton.textContent = t(row.legal_hold ? "hold-lift" : "hold-place");
    this.eraseButton.disabled = Boolean(row.legal_hold);
    this.eraseButton.title = row.legal_hold ? t("problem-legal-hold") : "";
  }

  async #hold() {
    const { state, t } = this.context;
    const row = state.conversation;
    const path = `/conversations/${row.id}/legal-hold`;
    const reason = this.#reason();
    const lift = Boolean(row.legal_hold);
    const changed = await openDialog(this.context, {
      title: t(lift ? "hold-lift" : "hold-place").replace("…", ""),
      body: h("div", {}, h("p", {}, t(lift ? "hold-lift-about" : "hold-place-about")), lift ? null : reason.element),
      action: t(lift ? "hold-lift" : "hold-place").replace("…", ""),
      testid: "hold-dialog",
      send: () => (lift ? state.api.request("DELETE", path) : state.api.post(path, { reason: reason.input.value.trim() })),
    });
    if (!changed) return;
    state.inbox.put(changed);
    state.changed("inbox");
  }

  async #erase() {
    const { state, t } = this.context;
    const { contact } = state.conversation;
    const word = contact.name || contact.identifier || contact.id;
    const typed = field(t("erase-type", { word }), { required: true, autocomplete: "off", "data-testid": "erase-word" });
    const reason = this.#reason();
    const certificate = await openDialog(this.context, {
      title: t("erase-title"),
      body: h("div", {}, h("p", {}, t("erase-sure")), reason.element, typed.element),
      action: t("erase-do"),
      tone: "danger",
      testid: "erase-dialog",
      send: () => {
        const said = typed.input.value.trim();
        if (said !== word && said !== contact.id) throw new FormProblem(t("erase-mismatch"), typed.input);
        return state.api.post(`/contacts/${contact.id}/erase`, { reason: reason.input.value.trim() });
      },
    });
    if (!certificate) return;
    state.problem(new Error(t("erase-done")));
    await state.forget(state.open).catch((error) => state.problem(error));
  }

  #reason() {
    const { t } = this.context;
    return field(
      t("reason"),
      { required: true, maxlength: "1000", autocomplete: "off", "data-testid": "reason-input" },
      { hint: t("reason-kept") },
    );
  }
}
