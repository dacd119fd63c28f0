import assert from "node:assert/strict";
import { test } from "node:test";
import { Life, messageOf, person, raw, stationGap, stationTime } from "../../interfaces/console/static/life-model.js";
import { translator } from "../../interfaces/widget/static/i18n.js";
import texts from "../../interfaces/console/static/strings.js";

const t = translator(texts, "en");
const step = (position, changes = {}) => ({ position, stream: "conversation-c", event: { data: {} }, ...changes });
const page = (positions, after = null) => ({
  data: positions.map((position) => step(position)),
  meta: { has_more: after !== null, after_cursor: after },
});

test("a life begins at its first step and is walked along with the arrows", () => {
  const life = new Life();
  assert.equal(life.current, null);
  life.add(page([3, 5, 9]));
  assert.equal(life.current.position, 3);
  assert.ok(life.to(life.key("ArrowRight")));
  assert.ok(life.to(life.key("ArrowDown")));
  assert.equal(life.current.position, 9);
  assert.ok(!life.to(life.key("ArrowRight")), "the end is the end");
  assert.ok(life.to(life.key("Home")));
  assert.ok(!life.to(life.key("ArrowUp")));
  assert.ok(life.to(life.key("PageDown")));
  assert.equal(life.at, 2);
  assert.equal(life.key("x"), null);
});

test("an empty life has nowhere to go", () => {
  const life = new Life();
  life.add(page([]));
  assert.ok(!life.to(life.key("End")));
  assert.equal(life.current, null);
});

test("more is wanted only at the end of what is loaded", () => {
  const life = new Life();
  life.add(page([1, 2], "2"));
  assert.ok(!life.wantsMore);
  life.to(1);
  assert.ok(life.wantsMore);
  life.add(page([3]));
  assert.ok(!life.wantsMore);
  assert.equal(life.current.position, 2);
});

test("people are called by their names of then, else by what they are", () => {
  assert.equal(person({ kind: "agent", id: "a-0001", name: "韩梅梅" }, t), "韩梅梅 (Agent)");
  assert.equal(person({ kind: "visitor", id: "v-0001", name: null }, t), "Visitor 0001");
  assert.equal(person({ kind: "system", id: "system", name: null }, t), "System");
});

test("the message of a step is found in its stream or in its data", () => {
  assert.equal(messageOf(step(1, { stream: "message-a-b-c" })), "a-b-c");
  assert.equal(messageOf(step(1, { event: { data: { message_id: "m" } } })), "m");
  assert.equal(messageOf(step(1)), null);
  assert.equal(messageOf(step(1, { event: {} })), null);
});

test("the raw event is shown as it is", () => {
  assert.deepEqual(JSON.parse(raw(step(1, { event: { data: { content: "<b>" } } }))), { data: { content: "<b>" } });
});

test("a station has a time, or bounds and the reason for the gap", () => {
  assert.equal(stationTime({ at: "T" }, t), "T");
  assert.equal(stationTime({ at: null, not_before: "A", not_after: "B" }, t), "after A, before B");
  assert.equal(stationTime({ at: null }, t), "");
  assert.equal(stationGap({ gap: null }, "en"), "");
  assert.equal(stationGap({ gap: { en: "why", zh: "为何", detail: "more" } }, "zh"), "为何: more");
});

test("every station, state and kind of actor has a text", () => {
  for (const key of ["received", "decided", "on_disk", "projected", "pushed", "delivered", "read", "mirrored"]) {
    assert.ok(texts[`station-${key}`], key);
  }
  for (const key of ["done", "waiting", "unknown", "failed", "not_configured"]) assert.ok(texts[`state-${key}`], key);
  for (const key of ["visitor", "agent", "api_key", "bot", "system"]) assert.ok(texts[key], key);
});
