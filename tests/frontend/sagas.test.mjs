import assert from "node:assert/strict";
import { test } from "node:test";
import { address, parse } from "../../interfaces/console/static/route.js";
import { ACTIVE, GRAPH_WORDS, STATUSES, actions, currentKey, grouped, isOver, isStill, mark, stateOf, tone } from "../../interfaces/console/static/saga-model.js";
import { age, span, until } from "../../interfaces/console/static/span.js";
import texts from "../../interfaces/console/static/strings.js";

const saga = (changes = {}) => ({ id: "s", status: "running", step: "payment", overdue: false, started_at: "T1", parked: null, steps: [], ...changes });
const parked = (...next_actions) => saga({ status: "parked", parked: { reason: "outcome-unknown", next_actions } });

test("parked ones come first, then overdue ones, the oldest first in each", () => {
  const rows = [
    saga({ id: "young", started_at: "T9" }),
    saga({ id: "late", overdue: true, started_at: "T5" }),
    saga({ id: "over", status: "completed", overdue: true, started_at: "T0" }),
    { ...parked("retry"), id: "waits", started_at: "T8" },
    { ...parked("retry"), id: "waits longer", started_at: "T7" },
  ];
  assert.deepEqual(
    grouped(rows).map(([key, group]) => [key, group.map((one) => one.id)]),
    [["saga-first", ["waits longer", "waits"]], ["saga-overdue", ["late"]], ["saga-others", ["over", "young"]]],
  );
});

test("an operator may what the saga and the role allow", () => {
  const one = parked("retry", "mark-settled");
  assert.deepEqual(actions(one, { role: "admin" }), ["retry", "mark-settled"]);
  assert.deepEqual(actions(one, { role: "agent" }), ["retry"]);
  assert.deepEqual(actions(one, { role: "auditor" }), []);
  assert.deepEqual(actions(saga(), { role: "admin" }), []);
});

test("a step that waits for a person is not under way", () => {
  const step = { name: "payment", state: "running" };
  assert.equal(stateOf(step, saga()), "running");
  assert.equal(stateOf(step, parked()), "parked");
  assert.equal(stateOf({ name: "inventory", state: "done" }, parked()), "done");
});

test("the key that matters is the current step's, else the last one", () => {
  const steps = [{ name: "inventory", key: "k1" }, { name: "payment", key: "k2" }, { name: "posting", key: null }];
  assert.equal(currentKey(saga({ steps })), "k2");
  assert.equal(currentKey(saga({ steps, step: "inventory" })), "k1");
  assert.equal(currentKey(saga({ steps, step: null })), "k2");
  assert.equal(currentKey(saga()), null);
});

test("every word of the contract has a text", () => {
  for (const status of STATUSES) {
    assert.ok(texts[`saga-${status}`] && texts[`about-saga-${status}`], status);
    assert.ok(tone(status));
  }
  for (const state of ["todo", "running", "done", "failed", "undone", "given-up", "skipped", "parked"]) {
    assert.ok(texts[`do-${state}`], state);
    assert.ok(mark(state));
  }
  for (const action of ["retry", "skip", "force-compensate", "mark-settled"]) assert.ok(texts[`act-${action}`] && texts[`about-act-${action}`], action);
  for (const kind of ["compensatable", "pivot", "retriable", "best-effort"]) assert.ok(texts[`kind-${kind}`], kind);
  const reasons = ["outcome-unknown", "unavailable", "declined", "compensation-failed", "settlement-overdue", "reversed", "contradicted"];
  for (const reason of reasons) assert.ok(texts[`park-${reason}`], reason);
  for (const key of Object.values(GRAPH_WORDS)) assert.ok(texts[key], key);
  for (const name of ["inventory", "payment", "posting", "notice", "failure_notice", "shipment"]) assert.ok(texts[`step-${name}`], name);
});

test("those that are not over are listed by default, and what is parked goes on by nobody but a person", () => {
  assert.deepEqual(STATUSES.filter((status) => !isOver({ status })).sort(), [...ACTIVE].sort());
  assert.ok(isStill(parked()));
  assert.ok(!isStill(saga()));
});

test("how long is said in the largest unit that fits", () => {
  assert.match(span(59, "en"), /^59 secs?$/);
  assert.match(span(3 * 3600 + 5, "en"), /^3 hrs?$/);
  assert.match(span(120, "zh"), /2\s?分钟/);
  assert.match(span(-3, "en"), /^0 secs?$/);
  assert.equal(until("2026-01-01T00:05:00Z", "en", Date.parse("2026-01-01T00:00:00Z")), "in 5 minutes");
  assert.equal(age("2026-01-01T00:00:00Z", "en", Date.parse("2026-01-03T00:00:00Z")), "2 days");
});

test("an address says which page, and anything else is the conversations", () => {
  assert.deepEqual(parse("#refunds"), { page: "refunds", id: null });
  assert.deepEqual(parse("#processes/a%2Fb"), { page: "processes", id: "a/b" });
  assert.deepEqual(parse(""), { page: "conversations", id: null });
  assert.deepEqual(parse("#whatever/1"), { page: "conversations", id: null });
  for (const [page, id] of [["refunds", null], ["processes", "a/b"]]) assert.deepEqual(parse(address(page, id)), { page, id });
});
