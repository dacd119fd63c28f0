// The console: log in, then list, thread and details side by side.
import { h } from "/widget/static/dom.js";
import { detect, remember, translator } from "/widget/static/i18n.js";
import { Definitions } from "./definitions.js";
import { Details } from "./details.js";
import { LifeView } from "./life.js";
import { List } from "./list.js";
import { showLogin } from "./login.js";
import { Pages } from "./pages.js";
import { RefundStore } from "./refund-store.js";
import { installShortcuts, showShortcuts } from "./shortcuts.js";
import { State } from "./state.js";
import strings from "./strings.js";
import { applyTheme, toggleTheme } from "./theme.js";
import { ThreadView } from "./thread-view.js";

const lang = detect();
const t = translator(strings, lang);
const state = new State();
const context = { state, t, lang, refunds: new RefundStore(state), definitions: new Definitions(state.api) };

document.documentElement.lang = lang;
applyTheme();
start();

async function start() {
  if (!(await state.resume())) await showLogin(context);
  state.inbox.filter.me = state.me.id;
  showConsole();
}

function showConsole() {
  const list = new List(context);
  const thread = new ThreadView(context);
  const details = new Details(context);
  const pages = new Pages(context);
  const main = h("main", {}, list.element, thread.element, details.element);
  const banner = h("div", { class: "banner", role: "status", "data-testid": "connection-state" });
  const toasts = h("div", { class: "toasts", role: "alert" });
  document.body.replaceChildren(
    h("div", { class: "console" }, topBar(pages.element), banner, main),
    toasts,
  );
  state.addEventListener("change", ({ detail }) => {
    if (detail === "connection") showState(banner);
    document.body.classList.toggle("has-open", state.open !== null);
    const unread = state.inbox.unread;
    document.title = unread ? `(${unread}) kefu 客服` : "kefu 客服";
  });
  state.addEventListener("look-back", ({ detail }) => showLife(detail));
  state.addEventListener("problem", ({ detail }) => toast(toasts, detail.message));
  document.addEventListener("visibilitychange", () => state.open && state.markRead());
  installShortcuts(context, { list, thread, details });
  showState(banner);
  pages.start(main);
  state.changed("inbox");
}

function showLife(id) {
  const main = document.querySelector("main");
  const before = document.activeElement;
  const life = LifeView.of(context, id, () => {
    life.remove();
    main.hidden = false;
    before?.focus();
  });
  main.hidden = true;
  main.after(life);
}

function showState(banner) {
  banner.dataset.state = state.online;
  banner.textContent = t(state.online);
  banner.hidden = state.online === "online";
}

function topBar(pages) {
  return h(
    "header",
    { class: "top" },
    h("strong", { class: "brand" }, "kefu"),
    pages,
    h("span", { class: "who" }, `${state.me.name} · ${state.me.role === "auditor" ? t("read-only") : state.me.email}`),
    button("shortcuts", () => showShortcuts(context), "?"),
    button("theme", toggleTheme, "◐"),
    button("language", () => {
      remember(lang === "zh" ? "en" : "zh");
      location.reload();
    }, t("language"), "language-toggle"),
    button("logout", () => state.logout(), t("logout"), "logout"),
  );
}

function button(key, onclick, text, testid = key) {
  return h("button", { type: "button", class: "quiet", title: t(key), "aria-label": t(key), "data-testid": testid, onclick }, text);
}

function toast(container, message) {
  const element = h("div", { class: "toast" }, message);
  container.append(element);
  setTimeout(() => element.remove(), 6_000);
}
