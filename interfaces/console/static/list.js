// The conversation list: search, filters, rows, paging.
import { h } from "/widget/static/dom.js";
import { short } from "/widget/static/time.js";

const STATUSES = ["open", "snoozed", "resolved", "all"];
const PEOPLE = [["", "anyone"], ["me", "mine"], ["none", "unassigned"]];
const SEARCH_MS = 250;

export class List {
  #timer = 0;

  constructor({ state, t, lang }) {
    Object.assign(this, { state, t, lang });
    this.search = h("input", {
      type: "search",
      placeholder: t("search"),
      "aria-label": t("search"),
      "data-testid": "search-input",
      oninput: () => this.#search(),
    });
    this.statuses = h("div", { class: "tabs", role: "tablist", "aria-label": t("conversations") });
    this.people = h("div", { class: "tabs small", role: "tablist", "aria-label": t("assignee") });
    this.rows = h("ul", { class: "rows", "data-testid": "conversation-list", "aria-label": t("conversations") });
    this.more = h(
      "button",
      { type: "button", class: "more", hidden: true, onclick: () => this.state.reload(true).catch((e) => state.problem(e)) },
      t("more"),
    );
    this.element = h(
      "nav",
      { class: "list", "aria-label": t("conversations") },
      this.search,
      this.statuses,
      this.people,
      h("div", { class: "scroll" }, this.rows, this.more),
    );
    this.rows.addEventListener("keydown", (event) => this.#key(event));
    state.addEventListener("change", ({ detail }) => {
      if (["inbox", "open", "message", "thread", "agents"].includes(detail)) this.show();
    });
    this.show();
  }

  show() {
    const { state, t } = this;
    const { filter } = state.inbox;
    this.statuses.replaceChildren(
      ...STATUSES.map((key) => this.#tab(key, `filter-${key}`, filter.status === key, { status: key })),
    );
    this.people.replaceChildren(
      ...PEOPLE.map(([value, key]) => this.#tab(key, `filter-${key}`, filter.assignee === value, { assignee: value })),
    );
    const focused = this.rows.contains(document.activeElement) ? document.activeElement.dataset.conversationId : null;
    const rows = state.inbox.rows.map((row) => this.#row(row));
    this.rows.replaceChildren(...(rows.length ? rows : [h("li", { class: "empty" }, t("none"))]));
    if (focused) this.rows.querySelector(`[data-conversation-id="${CSS.escape(focused)}"]`)?.focus();
    this.more.hidden = !state.inbox.cursorAfter;
  }

  // The next (1) or previous (-1) conversation of the list.
  step(direction) {
    const rows = this.state.inbox.rows;
    const at = rows.findIndex((row) => row.id === this.state.open);
    const next = rows[at === -1 ? 0 : Math.min(rows.length - 1, Math.max(0, at + direction))];
    if (next) this.#open(next.id);
  }

  #tab(key, testid, selected, changes) {
    return h(
      "button",
      {
        type: "button",
        role: "tab",
        "aria-selected": String(selected),
        "data-testid": testid,
        onclick: () => this.state.filter(changes),
      },
      this.t(key),
    );
  }

  #row(row) {
    const { t, lang, state } = this;
    const name = row.contact.name || row.contact.identifier || `${t("visitor")} ${row.contact.id.slice(-4)}`;
    const last = row.last_message;
    const preview = !last ? "" : last.recalled_at ? t("recalled") : last.content;
    const agent = state.agents.find((one) => one.id === row.assignee_id);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: `row${row.unread_count ? " unread" : ""}`,
          "data-testid": "conversation-row",
          "data-conversation-id": row.id,
          "aria-current": row.id === state.open ? "true" : null,
          onclick: () => this.#open(row.id),
        },
        h("span", { class: "avatar", "aria-hidden": "true" }, [...name][0]),
        h("span", { class: "name" }, name),
        h("time", { datetime: row.updated_at }, short(row.updated_at, lang)),
        h("span", { class: `preview${last?.private ? " note" : ""}` }, preview),
        row.unread_count
          ? h("span", { class: "count", "data-testid": "unread-badge", "aria-label": t("unread", { n: row.unread_count }) }, String(row.unread_count))
          : null,
        h(
          "span",
          { class: "chips" },
          row.priority ? h("span", { class: `chip ${row.priority}` }, t(row.priority)) : null,
          row.labels.map((label) => h("span", { class: "chip" }, label)),
          agent ? h("span", { class: "chip plain" }, agent.name) : null,
        ),
      ),
    );
  }

  #open(id) {
    this.state.show(id).catch((error) => this.state.problem(error));
  }

  #search() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.state.filter({ q: this.search.value }), SEARCH_MS);
  }

  #key(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    const rows = [...this.rows.querySelectorAll(".row")];
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + (event.key === "ArrowDown" ? 1 : -1)))]?.focus();
  }
}
