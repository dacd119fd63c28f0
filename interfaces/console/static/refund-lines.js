// The articles of a refund: rows of SKU, quantity and, where known, amount.
import { h } from "/widget/static/dom.js";
import { FormProblem } from "./dialog.js";
import { decimal } from "./refund-model.js";

export class Lines {
  constructor({ t }) {
    this.t = t;
    this.rows = h("div", { class: "line-rows" });
    this.add = h("button", { type: "button", class: "quiet", "data-testid": "line-add", onclick: () => this.#add() }, `+ ${t("line-add")}`);
    this.element = h("details", { class: "field" }, h("summary", {}, t("lines")), this.rows, this.add);
    this.element.addEventListener("toggle", () => this.element.open && !this.rows.children.length && this.#add());
  }

  #add() {
    const { t } = this;
    const input = (key, more) => h("input", { placeholder: t(key), "aria-label": t(key), autocomplete: "off", "data-testid": `line-${key}`, ...more });
    const sku = input("sku", { maxlength: "200" });
    const quantity = input("quantity", { type: "number", min: "1", max: "1000000", value: "1" });
    const amount = input("line-amount", { inputmode: "decimal" });
    const remove = h("button", { type: "button", class: "quiet", "aria-label": t("line-remove", { n: this.rows.children.length + 1 }), onclick: () => this.#remove(row) }, "×");
    const row = h("div", { class: "line-row", role: "group", "aria-label": t("articles") }, sku, quantity, amount, remove);
    row.read = () => this.#read(sku, quantity, amount);
    this.rows.append(row);
    sku.focus();
  }

  #remove(row) {
    row.remove();
    this.add.focus();
  }

  #read(sku, quantity, amount) {
    if (!sku.value.trim()) return null;
    const exact = amount.value.trim() ? decimal(amount.value) : null;
    if (amount.value.trim() && exact === null) throw new FormProblem(this.t("amount-wrong"), amount);
    const line = { sku: sku.value.trim(), quantity: Number(quantity.value) };
    return exact === null ? line : { ...line, amount: exact };
  }

  // Lines as the API takes them; rows without an article are left out.
  read() {
    return [...this.rows.children].map((row) => row.read()).filter(Boolean);
  }
}
