// Writing: replies, private notes, edits. Enter sends, Shift+Enter breaks the line.
import { h } from "/widget/static/dom.js";

export class Composer {
  #drafts = new Map();
  #open = null;
  #editing = null;

  constructor({ state, t }) {
    Object.assign(this, { state, t });
    this.note = h("input", { type: "checkbox", "data-testid": "note-toggle", onchange: () => this.#mode() });
    this.input = h("textarea", {
      rows: "2",
      maxlength: "16384",
      "data-testid": "composer-input",
      oninput: () => this.#typed(),
      onkeydown: (event) => this.#key(event),
    });
    this.cancel = h("button", { type: "button", class: "quiet", hidden: true, onclick: () => this.#stopEditing() }, t("cancel"));
    this.submit = h("button", { class: "primary", "data-testid": "composer-send" }, t("send"));
    this.form = h(
      "form",
      { onsubmit: (event) => this.#send(event) },
      this.input,
      h("div", { class: "bar" }, h("label", { class: "check" }, this.note, t("note")), this.cancel, this.submit),
    );
    this.ended = h("p", { class: "ended", hidden: true }, t("ended"));
    this.element = h("div", { class: "composer" }, this.form, this.ended);
    this.#mode();
  }

  show() {
    const { state } = this;
    if (this.#open !== state.open) {
      if (this.#open) this.#drafts.set(this.#open, this.input.value);
      this.#stopEditing();
      this.#open = state.open;
      this.input.value = this.#drafts.get(state.open) ?? "";
      this.#grow();
    }
    const resolved = state.conversation?.status === "resolved";
    this.form.hidden = !state.canWrite || resolved;
    this.ended.hidden = !resolved;
  }

  focus(isNote = false) {
    if (this.note.checked !== isNote) {
      this.note.checked = isNote;
      this.#mode();
    }
    this.input.focus();
  }

  edit(message) {
    this.#editing = message;
    this.cancel.hidden = false;
    this.input.value = message.content;
    this.submit.textContent = this.t("save");
    this.#grow();
    this.input.focus();
  }

  #stopEditing() {
    if (!this.#editing) return;
    this.#editing = null;
    this.cancel.hidden = true;
    this.input.value = "";
    this.submit.textContent = this.t("send");
  }

  #mode() {
    const label = this.t(this.note.checked ? "write-note" : "write");
    this.input.placeholder = label;
    this.input.setAttribute("aria-label", label);
    this.form.classList.toggle("note", this.note.checked);
  }

  #typed() {
    this.#grow();
    // Nobody is told that a private note is being written.
    if (!this.note.checked && !this.#editing) this.state.typed();
  }

  #grow() {
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 240)}px`;
  }

  #key(event) {
    if (event.key === "Escape") this.#stopEditing();
    // Enter chooses a candidate while an input method is composing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#send(event);
  }

  #send(event) {
    event.preventDefault();
    const content = this.input.value;
    if (!content.trim()) return;
    if (this.#editing) {
      this.state.change(this.#editing, content);
      this.#stopEditing();
    } else {
      this.state.send(content, this.note.checked);
      this.input.value = "";
      this.#drafts.delete(this.#open);
    }
    this.#grow();
  }
}
