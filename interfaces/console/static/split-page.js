// A page of two parts: a filtered list in groups, and what is chosen of it.
import { h } from "/widget/static/dom.js";
import { replace } from "./keep-focus.js";
import { Watch } from "./watch.js";

export class SplitPage extends HTMLElement {
  #chosen = null;

  static of(context) {
    return Object.assign(document.createElement(this.tag), { context });
  }

  // For subclasses: title, filters [[value, text]], load(filter, position) -> rows, group(rows) -> [[key, rows]],
  // row(one) -> elements, still(rows), none, pick, detail(id) -> element, address(id).
  connectedCallback() {
    const { t, state } = this.context;
    this.classList.add("page", "split");
    this.filter = h(
      "select",
      { "aria-label": this.filterLabel, "data-testid": "page-filter", onchange: () => this.watch.now() },
      this.filters.map(([value, text]) => h("option", { value }, text)),
    );
    this.list = h("div", { class: "scroll", "data-testid": "page-list" });
    this.place = h("section", { class: "page-detail", "aria-label": t("details"), tabindex: "-1", "data-testid": "page-detail" });
    this.append(
      h("section", { class: "page-list", "aria-label": this.heading }, h("header", { class: "page-bar" }, h("h2", {}, this.heading), this.filter), this.list),
      this.place,
    );
    this.list.addEventListener("keydown", (event) => this.#key(event));
    this.watch = new Watch({
      load: (position) => this.load(this.filter.value, position),
      show: (rows) => this.#show(rows),
      settled: (rows) => this.still(rows),
      problem: (error) => state.problem(error),
    });
    state.addEventListener("refund", this.#pushed);
    this.watch.now();
  }

  disconnectedCallback() {
    this.watch.stop();
    this.context.state.removeEventListener("refund", this.#pushed);
  }

  #pushed = () => this.watch.nudge();

  // Show one of them beside the list; null: none.
  open(id) {
    this.#chosen = id;
    this.classList.toggle("has-chosen", id !== null);
    this.place.replaceChildren(id ? this.detail(id) : h("p", { class: "pick" }, this.pick));
    if (id) this.place.prepend(h("a", { class: "back-link", href: this.address(null) }, `‹ ${this.heading}`));
    this.#mark();
  }

  #show(rows) {
    const { t } = this.context;
    const groups = this.group(rows);
    replace(
      this.list,
      groups.length ? null : h("p", { class: "empty" }, this.none),
      groups.map(([key, group]) => [
        h("h3", { class: "group" }, `${t(key)} · ${group.length}`),
        h("ul", { class: "rows", "aria-label": t(key), "data-testid": key }, group.map((one) =>
          h("li", {}, h("a", { class: "item", href: this.address(one.id), "data-id": one.id, "data-focus": one.id, "data-testid": "page-row" }, this.row(one))),
        )),
      ]),
    );
    this.#mark();
  }

  #mark() {
    for (const link of this.list.querySelectorAll(".item")) {
      if (link.dataset.id === this.#chosen) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  #key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    event.preventDefault();
    const links = [...this.list.querySelectorAll(".item")];
    links[Math.min(links.length - 1, Math.max(0, links.indexOf(document.activeElement) + by))]?.focus();
  }
}
