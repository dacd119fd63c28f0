// <kefu-widget>: the visitor's chat, in a shadow root.
import { Api } from "./api.js";
import { VisitorClient } from "./client.js";
import { h, icon } from "./dom.js";
import { detect, translator } from "./i18n.js";
import strings from "./strings.js";
import styles from "./styles.js";
import { clock } from "./time.js";

export class KefuWidget extends HTMLElement {
  #unread = 0;

  constructor(origin = location.origin, dataset = {}) {
    super();
    this.lang = dataset.lang || detect();
    this.t = translator(strings, this.lang);
    this.client = new VisitorClient(new Api(origin), dataset);
  }

  connectedCallback() {
    const root = this.attachShadow({ mode: "open" });
    root.append(h("style", {}, styles), this.#launcher(), this.#panel());
    this.client.addEventListener("change", () => this.#show());
    this.client.addEventListener("message", () => this.#arrived());
    document.addEventListener("visibilitychange", () => this.#seen());
    this.#show();
    this.client.start().catch(() => this.#unavailable());
  }

  #launcher() {
    const { t } = this;
    this.badge = h("span", { class: "badge", "data-testid": "unread-badge", hidden: true });
    this.launcher = h(
      "button",
      {
        class: "launcher",
        type: "button",
        "data-testid": "launcher",
        "aria-label": t("open"),
        "aria-expanded": "false",
        onclick: () => this.toggle(this.panel.hidden),
      },
      icon("chat"),
      this.badge,
    );
    return this.launcher;
  }

  #panel() {
    const { t } = this;
    this.state = h("div", { class: "state", role: "status", "data-testid": "connection-state" });
    this.list = h("div", {
      class: "messages",
      role: "log",
      "aria-live": "polite",
      tabindex: "0",
      "data-testid": "messages",
    });
    this.typing = h("div", { class: "typing", "aria-live": "polite", "data-testid": "typing-indicator" });
    this.input = h("textarea", {
      rows: "1",
      maxlength: "16384",
      placeholder: t("write"),
      "aria-label": t("write"),
      "data-testid": "input",
      oninput: () => this.client.typed(),
      onkeydown: (event) => this.#key(event),
    });
    this.form = h(
      "form",
      { onsubmit: (event) => this.#submit(event) },
      this.input,
      h("button", { class: "send", "aria-label": t("send"), "data-testid": "send" }, icon("send")),
    );
    this.ended = h(
      "div",
      { class: "ended", hidden: true },
      h("div", {}, t("resolved")),
      h(
        "button",
        { type: "button", "data-testid": "new-conversation", onclick: () => this.client.startAnother() },
        t("again"),
      ),
    );
    this.panel = h(
      "section",
      { class: "panel", role: "dialog", "aria-label": t("title"), "data-testid": "panel", hidden: true },
      h(
        "header",
        {},
        h("div", {}, h("strong", {}, t("title")), h("small", {}, t("subtitle"))),
        h(
          "button",
          { type: "button", "aria-label": t("close"), onclick: () => this.toggle(false) },
          icon("close"),
        ),
      ),
      this.state,
      this.list,
      this.typing,
      this.form,
      this.ended,
    );
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.toggle(false);
    });
    return this.panel;
  }

  toggle(open) {
    this.panel.hidden = !open;
    this.launcher.setAttribute("aria-expanded", String(open));
    if (open) {
      this.#seen();
      this.#scroll();
      this.input.focus();
    } else {
      this.launcher.focus();
    }
  }

  #key(event) {
    // Enter chooses a candidate while an input method is composing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#submit(event);
  }

  #submit(event) {
    event.preventDefault();
    const content = this.input.value;
    if (!content.trim()) return;
    this.input.value = "";
    this.client.send(content);
    this.#scroll();
  }

  #arrived() {
    if (this.#visible()) this.client.read();
    else this.#unread += 1;
    this.#show();
  }

  #seen() {
    if (!this.#visible()) return;
    this.#unread = 0;
    this.client.read();
    this.#show();
  }

  #visible() {
    return !this.panel.hidden && document.visibilityState === "visible";
  }

  #unavailable() {
    this.state.textContent = this.t("unavailable");
    setTimeout(() => this.client.start().catch(() => this.#unavailable()), 5_000);
  }

  #show() {
    const { client, t } = this;
    const atEnd = this.list.scrollHeight - this.list.scrollTop - this.list.clientHeight < 60;
    this.state.dataset.state = client.state;
    this.state.textContent = t(client.state);
    this.state.hidden = client.state === "online";
    this.badge.hidden = this.#unread === 0;
    this.badge.textContent = String(this.#unread);
    this.launcher.setAttribute(
      "aria-label",
      this.#unread ? `${t("open")}, ${t("unread", { n: this.#unread })}` : t("open"),
    );
    this.typing.textContent = client.typing !== null ? t("typing", { name: client.typing || t("agent") }) : "";
    this.form.hidden = client.resolved;
    this.ended.hidden = !client.resolved;
    this.list.replaceChildren(
      this.#bubble(t("hello"), "message", ""),
      ...client.thread.messages.map((message) => this.#message(message)),
      ...client.thread.pending.map((entry) => this.#pending(entry)),
    );
    if (atEnd) this.#scroll();
  }

  #message(message) {
    const mine = message.author.id === this.client.self;
    const gone = message.recalled_at !== null;
    const marks = [clock(message.created_at, this.lang)];
    if (!mine) marks.unshift(message.author.name || this.t("agent"));
    if (message.edited_at && !gone) marks.push(this.t("edited"));
    if (mine && this.client.agentReadSeq >= message.seq) marks.push(this.t("read"));
    const name = `message${mine ? " mine" : ""}${gone ? " recalled" : ""}`;
    const element = this.#bubble(gone ? this.t("recalled") : message.content, name, marks.join(" · "));
    element.dataset.seq = message.seq;
    element.dataset.testid = "message";
    return element;
  }

  #pending(entry) {
    const mark = this.t(entry.state, { code: entry.code });
    const element = this.#bubble(entry.content, `message mine ${entry.state}`, mark);
    element.dataset.testid = "message-pending";
    return element;
  }

  #bubble(content, name, meta) {
    return h(
      "div",
      { class: name },
      h("div", { class: "bubble" }, content),
      meta ? h("div", { class: "meta" }, meta) : null,
    );
  }

  #scroll() {
    this.list.scrollTop = this.list.scrollHeight;
  }
}

customElements.define("kefu-widget", KefuWidget);
