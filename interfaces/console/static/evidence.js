// The messages that a refund rests on, for who decides it.
import { h } from "/widget/static/dom.js";
import { moment } from "./span.js";

const PAGE = 200;
const MOST_PAGES = 10;

export function evidenceOf({ state, t, lang }, refund) {
  const list = h("ul", { class: "evidence read" });
  const element = h("section", { "aria-label": t("evidence"), "data-testid": "refund-evidence" }, h("h3", {}, t("evidence")), list);
  find(state.api, refund)
    .then((messages) => list.append(...messages.map((message) => row(message, t, lang))))
    .catch((error) => state.problem(error));
  return element;
}

function row(message, t, lang) {
  const who = message.author.name || t(message.author.kind === "visitor" ? "visitor" : "agent");
  const text = message.recalled_at === null ? message.content : t("recalled");
  return h("li", {}, h("small", { class: "mute" }, `${who} · ${moment(message.created_at, lang)}`), text);
}

// Messages by id are found in their conversation, which is read page by page.
async function find(api, { conversation_id: id, evidence }) {
  const wanted = new Set(evidence);
  const found = [];
  let after = 0;
  for (let page = 0; page < MOST_PAGES && found.length < wanted.size; page += 1) {
    const { data, meta } = await api.get(`/conversations/${id}/messages?after_seq=${after}&limit=${PAGE}`);
    found.push(...data.filter((message) => wanted.has(message.message_id)));
    if (!meta.has_more || !data.length) break;
    after = data.at(-1).seq;
  }
  return found;
}
