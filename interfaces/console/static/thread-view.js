// The open conversation: history, live messages, typing, composer.
import { h } from "/widget/static/dom.js";
import { clock, day, dayKey } from "/widget/static/time.js";
import { Composer } from "./composer.js";
import { threadLines } from "./refund-model.js";
import { Toolbar } from "./toolbar.js";

export class ThreadView {
  #shown = null;

  constructor(context) {
    const { state, t, lang, refunds } = context;
    Object.assign(this, { state, t, lang, refunds });
    this.toolbar = new Toolbar(context);
    this.composer = new Composer(context);
    this.list = h("div", { class: "messages", role: "log", "aria-live": "polite", tabindex: "0", "data-testid": "thread" });
    this.typing = h("div", { class: "typing", "aria-live": "polite", "data-testid": "typing-indicator" });
    this.body = h("div", { class: "body", hidden: true }, this.toolbar.element, this.list, this.typing, this.composer.element);
    this.empty = h("p", { class: "pick" }, t("pick"));
    this.element = h("section", { class: "thread" }, this.empty, this.body);
    this.list.addEventListener("scroll", () => this.#scrolled());
    state.addEventListener("change", ({ detail }) => this.#changed(detail));
  }

  #changed(what) {
    const { state } = this;
    this.body.hidden = !state.open;
    this.empty.hidden = Boolean(state.open);
    if (!state.open) return;
    this.toolbar.show();
    this.composer.show();
    const typing = state.typing.get(state.open);
    this.typing.textContent = typing ? this.t("typing", { name: typing.name || this.t("visitor") }) : "";
    if (what !== "typing" && what !== "connection") this.#show(what);
  }

  #show(what) {
    const { state, list } = this;
    const opened = this.#shown !== state.open;
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
    const fromEnd = list.scrollHeight - list.scrollTop;
    this.#shown = state.open;
    list.replaceChildren(...this.#content());
    if (what === "older") list.scrollTop = list.scrollHeight - fromEnd;
    else if (opened || atEnd || what === "sent") list.scrollTop = list.scrollHeight;
  }

  *#content() {
    const { state, t, lang } = this;
    const thread = state.thread();
    if (state.older.get(state.open)) {
      yield h("button", { type: "button", class: "more", "data-testid": "load-older", onclick: () => this.#older() }, t("older"));
    }
    let today = "";
    for (const [at, make] of this.#inOrder(thread.messages)) {
      if (dayKey(at) !== today) {
        today = dayKey(at);
        yield h("div", { class: "day" }, day(at, lang));
      }
      yield make();
    }
    for (const entry of thread.pending) yield this.#pending(entry);
  }

  // Messages in their order, and between them what became of refunds; not before the first one that
  // is loaded.
  *#inOrder(messages) {
    const { state, t } = this;
    const from = state.older.get(state.open) ? (messages[0]?.created_at ?? "") : "";
    const lines = threadLines(this.refunds.refunds, t).filter((line) => line.at >= from);
    for (const message of messages) {
      while (lines.length && lines[0].at < message.created_at) {
        const line = lines.shift();
        yield [line.at, () => this.#line(line)];
      }
      yield [message.created_at, () => this.#message(message)];
    }
    for (const line of lines) yield [line.at, () => this.#line(line)];
  }

  #line({ at, text }) {
    return h("p", { class: "quiet-line", "data-testid": "thread-line" }, text, " ", h("time", { datetime: at }, clock(at, this.lang)));
  }

  #message(message) {
    const { t, lang, state } = this;
    const ours = message.author.kind !== "visitor";
    const mine = message.author.id === state.me.id;
    const gone = message.recalled_at !== null;
    const marks = [message.author.name || t(ours ? "agent" : "visitor"), clock(message.created_at, lang)];
    if (message.private) marks.unshift(t("note"));
    if (message.edited_at && !gone) marks.push(t("edited"));
    if (ours && !message.private) marks.push(this.#receipt(message.seq));
    return h(
      "article",
      {
        class: `message${ours ? " ours" : ""}${message.private ? " note" : ""}${gone ? " recalled" : ""}`,
        "data-testid": "message",
        "data-seq": message.seq,
        "data-private": String(message.private),
      },
      h("div", { class: "bubble" }, gone ? t("recalled") : message.content),
      h(
        "footer",
        {},
        marks.filter(Boolean).join(" · "),
        mine && !gone ? this.#action("edit", () => this.composer.edit(message)) : null,
        (mine || state.me.role === "admin") && !gone && state.canWrite
          ? this.#action("recall", () => state.change(message, null))
          : null,
      ),
    );
  }

  #receipt(seq) {
    const row = this.state.conversation;
    if (!row) return "";
    if (row.visitor_read_seq >= seq) return this.t("read");
    return row.visitor_delivered_seq >= seq ? this.t("delivered") : "";
  }

  #pending(entry) {
    const { t, state } = this;
    return h(
      "article",
      { class: `message ours ${entry.private ? "note " : ""}${entry.state}`, "data-testid": "message-pending" },
      h("div", { class: "bubble" }, entry.content),
      h(
        "footer",
        {},
        t(entry.state, { code: entry.code }),
        entry.state === "failed" ? this.#action("retry", () => state.retry(entry.ref)) : null,
        entry.state === "failed" ? this.#action("discard", () => state.discard(entry.ref)) : null,
      ),
    );
  }

  #action(key, onclick) {
    return h("button", { type: "button", class: "link", onclick }, this.t(key));
  }

  #older() {
    this.state.loadOlder().catch((error) => this.state.problem(error));
  }

  #scrolled() {
    if (this.list.scrollTop < 40 && this.state.older.get(this.state.open)) {
      this.state.older.set(this.state.open, false); // once; the answer says whether there is more
      this.#older();
    }
  }
}
