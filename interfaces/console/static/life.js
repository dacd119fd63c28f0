// An auditor's page: walk along a conversation's life and see it as it was at each step.
import { h } from "/widget/static/dom.js";
import { Life, messageOf, person, raw, stationGap, stationTime } from "./life-model.js";

const PAGE = 200;
const LOADED_AT_ONCE = 1_000;
const SETTLE_MS = 120; // whoever holds an arrow key is not asked about each step

export class LifeView extends HTMLElement {
  #life = new Life();
  #asked = 0;
  #timer = 0;
  #loading = false;

  static of(context, id, onclose) {
    const view = document.createElement("kefu-life");
    Object.assign(view, context, { conversation: id, onclose });
    return view;
  }

  connectedCallback() {
    const { t } = this;
    this.title = "";
    this.slider = h("input", {
      type: "range",
      min: "0",
      max: "0",
      "aria-label": t("steps"),
      "data-testid": "life-slider",
      oninput: () => this.#to(Number(this.slider.value)),
    });
    this.where = h("output", { "data-testid": "life-step" });
    this.list = h("ol", { class: "steps", role: "listbox", tabindex: "0", "aria-label": t("steps"), "data-testid": "life-steps" });
    this.then = h("section", { class: "then", "aria-label": t("then"), "aria-live": "polite", "data-testid": "life-then" });
    this.detail = h("section", { class: "step-detail", "aria-label": t("details"), "data-testid": "life-detail" });
    const close = h("button", { type: "button", "data-testid": "life-close", onclick: () => this.onclose() }, t("close"));
    this.append(
      h("header", { class: "life-bar" }, h("h2", {}, t("history-title")), this.slider, this.where, close),
      h("div", { class: "life-body" }, this.list, this.then, this.detail),
    );
    this.addEventListener("keydown", (event) => this.#key(event));
    this.#load(LOADED_AT_ONCE).then(() => this.list.focus());
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
    this.#asked = -1;
  }

  async #load(upTo) {
    const { state } = this;
    const life = this.#life;
    if (this.#loading) return;
    this.#loading = true;
    try {
      do {
        const cursor = life.cursor ? `&cursor=${life.cursor}` : "";
        const page = await state.api.get(`/conversations/${this.conversation}/history?limit=${PAGE}${cursor}`);
        const from = life.steps.length;
        life.add(page);
        this.list.append(...page.data.map((step, i) => this.#row(step, from + i)));
      } while (life.more && life.steps.length < upTo);
    } catch (error) {
      state.problem(error);
    } finally {
      this.#loading = false;
    }
    this.#show();
  }

  #row(step, index) {
    const { t, lang } = this;
    return h(
      "li",
      { role: "option", id: `step-${index}`, "data-testid": "life-row", "data-position": step.position, onclick: () => this.#to(index) },
      h("time", { datetime: step.time }, step.time.slice(0, 19).replace("T", " ")),
      h("span", { class: "who" }, person(step.actor, t)),
      h("span", { class: "what" }, step.what[lang]),
    );
  }

  #key(event) {
    if (event.key === "Escape") {
      event.preventDefault();
      this.onclose();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || event.target === this.slider) return;
    if (event.target.closest("pre")) return; // there the arrows scroll
    const target = this.#life.key(event.key);
    if (target === null) return;
    event.preventDefault();
    this.#to(target);
  }

  #to(index) {
    if (this.#life.to(index)) this.#show();
  }

  #show() {
    const life = this.#life;
    const step = life.current;
    if (!step) return;
    const total = life.steps.length;
    this.slider.max = String(total - 1);
    this.slider.value = String(life.at);
    const values = { n: life.at + 1, total };
    this.where.textContent = life.more ? this.t("step-more", values) : this.t("step", values);
    this.slider.setAttribute("aria-valuetext", `${this.where.textContent}: ${step.what[this.lang]}`);
    this.list.querySelector("[aria-selected]")?.removeAttribute("aria-selected");
    const row = this.list.children[life.at];
    row.setAttribute("aria-selected", "true");
    row.scrollIntoView({ block: "nearest" });
    this.list.setAttribute("aria-activedescendant", row.id);
    this.#detail(step);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#lookBack(step), SETTLE_MS);
    if (life.wantsMore) this.#load(total + PAGE);
  }

  #detail(step) {
    const { t, lang } = this;
    const message = messageOf(step);
    const facts = [
      ["when", `${step.time} · ${step.position}`],
      ["who", person(step.actor, t)],
      ["what", step.what[lang]],
      ["why", step.why.reason?.[lang]],
      ["request", step.why.correlation_id],
      ["hash", step.payload_sha256],
    ];
    this.trace = h("div", { "data-testid": "life-trace" });
    this.detail.replaceChildren(
      h("dl", {}, ...facts.flatMap(([key, value]) => (value ? [h("dt", {}, t(key)), h("dd", {}, value)] : []))),
      h("h3", {}, t("raw-event")),
      h("pre", { tabindex: "0", "data-testid": "life-raw" }, raw(step)),
      h("button", { type: "button", "data-testid": "life-receipt", onclick: () => this.#receipt(step) }, t("receipt")),
      message ? h("button", { type: "button", "data-testid": "life-trace-button", onclick: () => this.#follow(message) }, t("trace")) : null,
      this.trace,
    );
  }

  // The conversation as it was right after a step.
  async #lookBack(step) {
    const asked = ++this.#asked;
    const path = `/conversations/${this.conversation}`;
    let row = null;
    let messages = [];
    try {
      row = await this.state.api.get(`${path}?as_of=${step.position}`);
      let cursor = "";
      let page;
      do {
        page = await this.state.api.get(`${path}/messages?as_of=${step.position}&limit=${PAGE}${cursor}`);
        messages = messages.concat(page.data);
        cursor = `&cursor=${page.meta.after_cursor}`;
      } while (page.meta.has_more && asked === this.#asked);
    } catch (error) {
      if (error.status !== 404) return this.state.problem(error);
    }
    if (asked === this.#asked) this.#showThen(step, row, messages);
  }

  #showThen(step, row, messages) {
    const { t } = this;
    this.then.dataset.position = step.position;
    if (!row) return this.then.replaceChildren(h("p", { class: "pick" }, t("not-yet")));
    const agent = this.state.agents.find((one) => one.id === row.assignee_id);
    const facts = [
      ["status", t(row.status)],
      ["assignee", row.assignee_id ? (agent?.name ?? row.assignee_id) : t("nobody")],
      ["priority", row.priority && t(row.priority)],
      ["labels", row.labels.join(", ")],
      ["contact", row.contact.name ?? row.contact.identifier],
    ];
    const list = h("div", { class: "messages" }, ...messages.map((message) => this.#message(message, step)));
    this.then.replaceChildren(
      h("p", { class: "facts", "data-testid": "life-facts" }, facts.filter(([, value]) => value).map(([key, value]) => `${t(key)}: ${value}`).join(" · ")),
      messages.length ? list : h("p", { class: "pick" }, t("no-messages")),
    );
    (list.querySelector(".now") ?? list.lastElementChild)?.scrollIntoView({ block: "nearest" });
  }

  #message(message, step) {
    const { t } = this;
    const ours = message.author.kind !== "visitor";
    const gone = message.recalled_at !== null;
    const marks = [message.author.name || t(message.author.kind), message.created_at.slice(0, 19).replace("T", " ")];
    if (message.private) marks.unshift(t("note"));
    if (message.edited_at && !gone) marks.push(t("edited"));
    const now = messageOf(step) === message.message_id ? " now" : "";
    return h(
      "article",
      { class: `message${ours ? " ours" : ""}${message.private ? " note" : ""}${gone ? " recalled" : ""}${now}`, "data-testid": "life-message", "data-seq": message.seq },
      h("div", { class: "bubble" }, gone ? t("recalled") : message.content),
      h("footer", {}, marks.join(" · ")),
    );
  }

  async #follow(id) {
    const { t, lang } = this;
    const place = this.trace;
    try {
      const trace = await this.state.api.get(`/messages/${id}/trace`);
      const rows = trace.stations.map((stop) =>
        h(
          "tr",
          { "data-station": stop.station },
          h("th", { scope: "row" }, t(`station-${stop.station}`)),
          h("td", {}, t(`state-${stop.state}`)),
          h("td", {}, [stop.reader ? person(stop.reader, t) : "", stationTime(stop, t), stationGap(stop, lang)].filter(Boolean).join(" · ")),
        ),
      );
      place.replaceChildren(h("h3", {}, t("trace")), h("table", { class: "stations" }, h("tbody", {}, rows)));
      place.scrollIntoView({ block: "nearest" });
    } catch (error) {
      this.state.problem(error);
    }
  }

  // A receipt needs the token in a header, which a plain link can't send.
  async #receipt(step) {
    try {
      const text = await this.state.api.text(step.receipt.replace("/api/v1", ""));
      const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
      h("a", { href: url, download: `event-${step.position}.tlog-proof` }).click();
      setTimeout(() => URL.revokeObjectURL(url));
    } catch (error) {
      this.state.problem(error);
    }
  }
}

customElements.define("kefu-life", LifeView);
