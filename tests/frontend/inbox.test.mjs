import assert from "node:assert/strict";
import { test } from "node:test";
import { Inbox } from "../../interfaces/console/static/inbox.js";

const row = (id, changes = {}) => ({
  id,
  status: "open",
  assignee_id: null,
  updated_at: "2026-11-24T10:00:00Z",
  unread_count: 0,
  last_seq: 3,
  agent_read_seq: 0,
  visitor_read_seq: 0,
  visitor_delivered_seq: 0,
  ...changes,
});

test("newest activity is first", () => {
  const inbox = new Inbox();
  inbox.put(row("a"));
  inbox.put(row("b", { updated_at: "2026-11-24T11:00:00Z" }));
  assert.deepEqual(inbox.rows.map((r) => r.id), ["b", "a"]);
});

test("a row that no longer fits the filter leaves the list", () => {
  const inbox = new Inbox();
  inbox.put(row("a"));
  inbox.put(row("a", { status: "resolved", updated_at: "2026-11-24T12:00:00Z" }));
  assert.deepEqual(inbox.rows, []);
});

test("an older row that comes late does not win", () => {
  const inbox = new Inbox();
  inbox.put(row("a", { updated_at: "2026-11-24T12:00:00Z", last_seq: 9 }));
  inbox.put(row("a", { last_seq: 3 }));
  assert.equal(inbox.get("a").last_seq, 9);
});

test("while somebody searches, pushed rows do not join the list", () => {
  const inbox = new Inbox();
  inbox.filter = { ...inbox.filter, q: "refund" };
  inbox.put(row("a"));
  assert.deepEqual(inbox.rows, []);
});

test("reading to the end clears the unread count", () => {
  const inbox = new Inbox();
  inbox.put(row("a", { unread_count: 2 }));
  inbox.cursor({ type: "read", conversation_id: "a", reader: { kind: "agent" }, seq: 3 });
  assert.equal(inbox.unread, 0);
});
