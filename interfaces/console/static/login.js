// The log-in form, and the choice of an own password after a one-time one.
import { h } from "/widget/static/dom.js";

export function showLogin({ state, t }) {
  return new Promise((done) => {
    const email = field("email", "email", "username", "login-email");
    const password = field("password", "password", "current-password", "login-password");
    const next = field("new-password", "password", "new-password", "login-new-password");
    next.wrapper.hidden = true;
    next.input.required = false;
    const problem = h("p", { class: "problem", role: "alert" });
    const submit = h("button", { class: "primary", "data-testid": "login-submit" }, t("login"));
    const title = h("p", { class: "mute" }, "客服");
    let changing = false;

    const form = h(
      "form",
      { class: "login", onsubmit: send },
      h("h1", {}, "kefu"),
      title,
      email.wrapper,
      password.wrapper,
      next.wrapper,
      problem,
      submit,
    );
    document.body.replaceChildren(form);
    email.input.focus();

    async function send(event) {
      event.preventDefault();
      submit.disabled = true;
      problem.textContent = "";
      try {
        if (changing) {
          await state.changePassword(password.input.value, next.input.value);
          done();
        } else if (await state.login(email.input.value, password.input.value)) {
          askForPassword();
        } else {
          done();
        }
      } catch (error) {
        problem.textContent = error.message;
      } finally {
        submit.disabled = false;
      }
    }

    function askForPassword() {
      changing = true;
      title.textContent = t("change-password");
      email.wrapper.hidden = password.wrapper.hidden = true;
      next.wrapper.hidden = false;
      Object.assign(next.input, { required: true, minLength: 10 });
      submit.textContent = t("save");
      next.input.focus();
    }

    function field(key, type, autocomplete, testid) {
      const input = h("input", { type, autocomplete, required: true, "data-testid": testid });
      return { input, wrapper: h("label", {}, h("span", {}, t(key)), input) };
    }
  });
}
