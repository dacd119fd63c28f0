import assert from "node:assert/strict";
import { test } from "node:test";
import { about, by, decimal, grouped, isOver, STATUSES, stepName, threadLines, tone, whyNot } from "../../interfaces/console/static/refund-model.js";
import { explain } from "../../interfaces/console/static/problem-text.js";
import texts from "../../interfaces/console/static/strings.js";
import { translator } from "../../interfaces/widget/static/i18n.js";

const t = translator(texts, "en");
const mei = { kind: "agent", id: "mei", name: "Mei" };
const refund = (changes = {}) => ({
  id: "r", status: "requested", order_reference: "A-1", amount: "12.30", currency: "CNY", given_up: [],
  requested_by: mei, may: { approve: false, reject: false }, created_at: "T1", updated_at: "T2", ...changes,
});

test("an amount is an exact decimal above nothing, whatever it is written like", () => {
  assert.equal(decimal(" 12.30 "), "12.30");
  assert.equal(decimal("¥1,012.3"), "1012.3");
  assert.equal(decimal("1,234,567"), "1234567");
  assert.equal(decimal("0.01"), "0.01");
  for (const wrong of ["", "0", "0.00", "-1", "1e3", "1,5", "12.3456", "十", "1.2.3"]) assert.equal(decimal(wrong), null, wrong);
});

test("what waits for my decision comes first, then what waits for others, the newest first in each", () => {
  const mine = { may: { approve: true, reject: true } };
  const rows = [
    refund({ id: "done", status: "completed", updated_at: "T9" }),
    refund({ id: "theirs", may: { approve: false, reject: true } }),
    refund({ id: "old", ...mine, updated_at: "T1" }),
    refund({ id: "new", ...mine, updated_at: "T3" }),
  ];
  assert.deepEqual(
    grouped(rows).map(([key, group]) => [key, group.map((one) => one.id)]),
    [["refund-mine", ["new", "old"]], ["refund-waiting", ["theirs"]], ["refund-others", ["done"]]],
  );
  assert.deepEqual(grouped([]), []);
});

test("who asked for a refund is told that somebody else must approve it, an auditor nothing", () => {
  assert.equal(whyNot(refund(), { id: "mei", role: "agent" }), "four-eyes");
  assert.equal(whyNot(refund(), { id: "lei", role: "agent" }), "may-not");
  assert.equal(whyNot(refund(), { id: "aud", role: "auditor" }), null);
  assert.equal(whyNot(refund({ may: { approve: true } }), { id: "lei", role: "agent" }), null);
  assert.equal(whyNot(refund({ status: "approved" }), { id: "lei", role: "agent" }), null);
});

test("every status has a text, an explanation and a line for the thread, and only ends are ends", () => {
  for (const status of STATUSES) {
    for (const key of [`refund-${status}`, `about-${status}`, `line-${status}`]) assert.ok(texts[key], key);
    assert.ok(tone(status));
  }
  assert.deepEqual(STATUSES.filter((status) => isOver({ status })), ["completed", "rejected", "failed"]);
});

test("steps that were given up are named at the end", () => {
  assert.match(about(refund({ status: "completed", given_up: ["notice", "x"] }), t), /Tell the customer, x/);
  assert.equal(about(refund({ status: "completed" }), t), t("about-completed"));
  assert.equal(stepName("inventory", t), "Authorise return");
});

test("the thread says who asked, and what became of it, in order", () => {
  const lines = threadLines([refund({ status: "settled", updated_at: "T5" }), refund({ id: "q", created_at: "T3" })], t);
  assert.deepEqual(lines.map((line) => line.at), ["T1", "T3", "T5"]);
  assert.equal(lines[0].text, "Mei (Agent) requested a refund of 12.30 CNY (order A-1)");
  assert.equal(lines[2].text, "The refund of 12.30 CNY was paid");
});

test("the policy decides as nobody", () => {
  assert.equal(by({ kind: "policy", id: "", name: "" }, t), "by the policy");
  assert.equal(by(mei, t), "Mei (Agent)");
});

test("a known code is explained in the reader's language beside the server's words, an unknown one in those alone", () => {
  const refused = (code) => Object.assign(new Error("The server's words."), { status: 409, code });
  assert.deepEqual(explain(refused("second-person-needed"), t), { text: t("problem-second-person-needed"), detail: "The server's words." });
  assert.deepEqual(explain(refused("brand-new"), t), { text: "The server's words.", detail: "" });
  assert.deepEqual(explain(new TypeError("Failed to fetch"), t), { text: t("problem-network"), detail: "" });
});
