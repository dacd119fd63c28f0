import assert from "node:assert/strict";
import { test } from "node:test";
import { Thread } from "../../interfaces/widget/static/thread.js";

const message = (seq, id = `m${seq}`) => ({ seq, message_id: id, content: `c${seq}` });

test("messages are shown in order of seq, each once, whatever the order of arrival", () => {
  const thread = new Thread();
  const isNew = [3, 1, 2, 2, 1].map((seq) => thread.add(message(seq)));
  assert.deepEqual(isNew, [true, true, true, false, false]);
  assert.deepEqual(thread.messages.map((m) => m.seq), [1, 2, 3]);
  assert.equal(thread.lastSeq, 3);
});

test("a sent message stays pending until it arrives, ack first", () => {
  const thread = new Thread();
  thread.write("r", "hi");
  thread.ack("r", "m1", 1);
  assert.equal(thread.pending[0].state, "sent");
  assert.deepEqual(thread.unacked(), []);
  thread.add(message(1));
  assert.deepEqual(thread.pending, []);
});

test("a message that arrives before its ack is not shown twice", () => {
  const thread = new Thread();
  thread.write("r", "hi");
  thread.add(message(1));
  thread.ack("r", "m1", 1);
  assert.deepEqual(thread.pending, []);
  assert.equal(thread.messages.length, 1);
});

test("what was not acknowledged survives a reload with its ref", () => {
  const before = new Thread();
  before.write("r1", "one");
  before.write("r2", "two");
  before.ack("r1", "m1", 1);
  const after = new Thread();
  after.restore(before.save());
  assert.deepEqual(after.unacked().map((e) => [e.ref, e.content]), [["r2", "two"]]);
});

test("a refused message is kept, marked and not sent again by itself", () => {
  const thread = new Thread();
  thread.write("r", "hi");
  thread.fail("r", "conversation-resolved");
  assert.equal(thread.pending[0].state, "failed");
  assert.deepEqual(thread.unacked(), []);
  thread.discard("r");
  assert.deepEqual(thread.pending, []);
});

test("an update of an older message that is not shown is left alone", () => {
  const thread = new Thread();
  thread.add(message(5));
  thread.update({ ...message(2), content: "edited" });
  thread.update({ ...message(5), content: "edited" });
  assert.deepEqual(thread.messages.map((m) => m.content), ["edited"]);
});
