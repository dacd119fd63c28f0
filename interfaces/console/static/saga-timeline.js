// What happened to a saga, event by event, from its stream.
import { h } from "/widget/static/dom.js";
import { by } from "./refund-model.js";
import { moment } from "./span.js";

export function timeline({ t, lang }, saga) {
  return h(
    "ol",
    { class: "timeline", "data-testid": "saga-timeline" },
    saga.timeline.map((entry) =>
      h(
        "li",
        { "data-type": entry.type, "data-position": entry.position },
        h("time", { datetime: entry.at, title: entry.at }, moment(entry.at, lang)),
        h("div", {}, h("span", {}, entry.text[lang]), " ", h("small", { class: "mute" }, by(entry.actor, t)), details(t, entry)),
      ),
    ),
  );
}

// The fields of the event, for who wants to know exactly.
function details(t, entry) {
  const known = Object.entries(entry.data ?? {}).filter(([, value]) => value !== null && value !== "");
  if (!known.length) return null;
  return h(
    "details",
    {},
    h("summary", { "data-focus": `event-${entry.position}` }, `${entry.type} · ${t("position")} ${entry.position}`),
    h("dl", {}, known.flatMap(([key, value]) => [h("dt", {}, key), h("dd", { class: "code" }, plain(value))])),
  );
}

function plain(value) {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
