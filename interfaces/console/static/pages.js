// The pages beside the conversations, and the links to them; the address says which one is shown.
import { h } from "/widget/static/dom.js";
import { countDecisions } from "./decision-count.js";
import { PAGES, address, parse } from "./route.js";
import { ProcessesPage } from "./processes-page.js";
import { RefundsPage } from "./refunds-page.js";

const KINDS = { refunds: RefundsPage, processes: ProcessesPage };

export class Pages {
  #shown = null;

  constructor(context) {
    this.context = context;
    this.links = PAGES.map((page) => h("a", { href: address(page), "data-testid": `page-${page}` }, context.t(page)));
    this.element = h("nav", { class: "pages", "aria-label": context.t("pages") }, this.links);
  }

  // Beside `main`, which is the conversations.
  start(main) {
    this.main = main;
    countDecisions(this.context, this.links[PAGES.indexOf("refunds")]);
    addEventListener("hashchange", () => this.#go());
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape" || event.defaultPrevented || !this.#shown || event.target.closest("dialog, input, select")) return;
      location.hash = "";
    });
    this.#go();
  }

  #go() {
    const { page, id } = parse(location.hash);
    document.querySelector("kefu-life")?.onclose();
    for (const [i, link] of this.links.entries()) {
      if (PAGES[i] === page) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
    const Kind = KINDS[page];
    if (this.#shown && !(Kind && this.#shown instanceof Kind)) {
      this.#shown.remove();
      this.#shown = null;
    }
    this.main.hidden = Boolean(Kind);
    if (!Kind) return;
    if (!this.#shown) {
      this.#shown = Kind.of(this.context);
      this.main.after(this.#shown);
    }
    this.#shown.open(id);
  }
}
