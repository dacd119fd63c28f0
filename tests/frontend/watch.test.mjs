import assert from "node:assert/strict";
import { test } from "node:test";
import { since, Watch } from "../../interfaces/console/static/watch.js";

// A watch whose answers are given one by one; its next question is awaited, not slept for.
function watched(answers, options = {}) {
  const shown = [];
  const problems = [];
  let asked = 0;
  let wake = () => {};
  const watch = new Watch({
    load: async (position) => {
      asked += 1;
      wake();
      const answer = answers.shift();
      if (answer instanceof Error) throw answer;
      return typeof answer === "function" ? answer(position) : answer;
    },
    show: (value) => shown.push(value),
    settled: ({ over }) => Boolean(over),
    problem: (error) => problems.push(error.message),
    everyMs: 1,
    soonMs: 1,
    unseen: () => false,
    ...options,
  });
  const questions = (n) => new Promise((done) => {
    wake = () => asked >= n && setImmediate(done);
    wake();
  });
  return { watch, shown, problems, questions, get asked() { return asked; } };
}

test("it asks until nothing more happens by itself, and shows changes alone", async () => {
  const it = watched([{ n: 1 }, { n: 1, age_s: 7 }, { n: 2, over: true }]);
  it.watch.now();
  await it.questions(3);
  assert.deepEqual(it.shown, [{ n: 1 }, { n: 2, over: true }]);
  assert.equal(it.asked, 3);
});

test("a failure is told once and tried again, a refusal is not", async () => {
  const refused = Object.assign(new Error("no"), { status: 403 });
  const it = watched([new Error("down"), new Error("down"), { n: 1, over: true }]);
  it.watch.now();
  await it.questions(3);
  assert.deepEqual(it.problems, ["down"]);
  assert.deepEqual(it.shown, [{ n: 1, over: true }]);
  const other = watched([refused]);
  await other.watch.now();
  assert.deepEqual(other.problems, ["no"]);
  assert.equal(other.asked, 1);
});

test("an answer that was overtaken is dropped, and a stopped watch says nothing", async () => {
  let late;
  const it = watched([() => new Promise((done) => (late = done)), { n: 2, over: true }]);
  const first = it.watch.now();
  await it.watch.now(9);
  late({ n: 1, over: true });
  await first;
  assert.deepEqual(it.shown, [{ n: 2, over: true }]);
  const stopped = watched([() => new Promise((done) => (late = done))]);
  const last = stopped.watch.now();
  stopped.watch.stop();
  late({ n: 1 });
  await last;
  assert.deepEqual(stopped.shown, []);
});

test("a read after a write names the write's position, and so does every later one", async () => {
  const seen = (position) => ({ position, over: true });
  const it = watched([seen, seen]);
  await it.watch.now(42);
  await it.watch.now();
  assert.deepEqual(it.shown, [{ position: 42, over: true }]);
  assert.equal(it.asked, 2);
  assert.deepEqual(since(42), { "Kefu-Min-Position": "42" });
  assert.deepEqual(since(undefined), {});
});

test("many changes are one question, and those that come during it one more", async () => {
  let answer;
  const it = watched([() => new Promise((done) => (answer = done)), { n: 2, over: true }]);
  for (let i = 0; i < 9; i += 1) it.watch.nudge();
  await it.questions(1);
  for (let i = 0; i < 9; i += 1) it.watch.nudge();
  answer({ n: 1, over: true });
  await it.questions(2);
  assert.deepEqual(it.shown, [{ n: 1, over: true }, { n: 2, over: true }]);
  assert.equal(it.asked, 2);
});
