// A modal form: what it asks, a place for what the API refuses, cancel and go.
import { h } from "/widget/static/dom.js";
import { explain } from "./problem-text.js";

let count = 0;

// `send()` does it; it may refuse with a text (FormProblem) or fail with a Problem, and the dialog stays.
// Resolves with what `send` returned, or null: it was left.
export function openDialog({ t }, { title, body, action, tone = "primary", send, testid }) {
  return new Promise((done) => {
    const id = `dialog-${(count += 1)}`;
    let result = null;
    const problem = h("div", { class: "problem", role: "alert", "data-testid": "dialog-problem" });
    const submit = h("button", { class: tone, "data-testid": "dialog-submit" }, action);
    const cancel = h("button", { type: "button", "data-testid": "dialog-cancel", onclick: () => dialog.close() }, t("cancel"));
    const form = h(
      "form",
      { class: "ask", onsubmit },
      h("h2", { id }, title),
      body,
      problem,
      h("div", { class: "dialog-actions" }, cancel, submit),
    );
    const dialog = h("dialog", { "aria-labelledby": id, "data-testid": testid }, form);
    dialog.addEventListener("close", () => {
      dialog.remove();
      done(result);
    });
    document.body.append(dialog);
    dialog.showModal();

    async function onsubmit(event) {
      event.preventDefault();
      submit.disabled = true;
      problem.replaceChildren();
      try {
        result = (await send()) ?? true;
        dialog.close();
      } catch (error) {
        show(error);
      } finally {
        submit.disabled = false;
      }
    }

    function show(error) {
      const { text, detail } = error instanceof FormProblem ? { text: error.message, detail: "" } : explain(error, t);
      problem.dataset.code = error.code ?? "";
      problem.replaceChildren(h("p", {}, text), detail && detail !== text ? h("p", { class: "mute" }, detail) : "");
      error.field?.focus();
    }
  });
}

// What is wrong with the form itself, and where.
export class FormProblem extends Error {
  constructor(message, field) {
    super(message);
    this.field = field;
  }
}

// A labelled field: { element, input }.
export function field(label, properties, { tag = "input", hint = null } = {}) {
  const input = h(tag, properties);
  const note = hint ? h("small", { class: "mute" }, hint) : null;
  return { input, element: h("label", { class: "field" }, h("span", {}, label), input, note) };
}
