// Keeps what is on screen up to date: asks at once, and again every 2 s while it can still change.
// No DOM but for whether the page is seen at all.

export const EVERY_MS = 2_000;
const SOON_MS = 300;

export class Watch {
  #timer = 0;
  #asked = 0;
  #busy = false;
  #nudged = 0; // the timer of a question that is due soon
  #again = false;
  #position = 0; // of what was written here last: no later answer may be older
  #last = null;
  #troubled = false;

  // load(position): the value, no older than that position of the log; show(value): it changed;
  // settled(value): nothing more will happen by itself; problem(error): told once until it works again.
  constructor({ load, show, settled, problem = () => {}, everyMs = EVERY_MS, soonMs = SOON_MS, unseen = () => document.hidden }) {
    Object.assign(this, { load, show, settled, problem, everyMs, soonMs, unseen });
  }

  async now(position) {
    const asked = ++this.#asked;
    clearTimeout(this.#timer);
    this.#position = Math.max(this.#position, position ?? 0);
    this.#busy = true;
    try {
      const value = await this.load(this.#position);
      if (asked !== this.#asked) return;
      this.#troubled = false;
      this.#tell(value);
      if (!this.settled(value)) this.#later();
    } catch (error) {
      if (asked !== this.#asked) return;
      if (!this.#troubled) this.problem(error);
      this.#troubled = true;
      // A 4xx stays one; anything else may be over in a moment.
      if (!(error.status >= 400 && error.status < 500)) this.#later();
    } finally {
      if (asked === this.#asked) this.#idle();
    }
  }

  // Something has changed: ask soon, once for however many changes come meanwhile.
  nudge() {
    if (this.#busy) this.#again = true;
    else this.#nudged ||= setTimeout(() => this.#nudge(), this.soonMs);
  }

  stop() {
    this.#asked += 1;
    this.#busy = this.#again = false;
    clearTimeout(this.#timer);
    clearTimeout(this.#nudged);
    this.#nudged = 0;
  }

  #nudge() {
    this.#nudged = 0;
    if (this.#busy) this.#again = true;
    else this.now();
  }

  #idle() {
    this.#busy = false;
    if (!this.#again) return;
    this.#again = false;
    this.nudge();
  }

  #tell(value) {
    // Ages grow with every answer and are no news.
    const text = JSON.stringify(value, (key, part) => (key === "age_s" ? undefined : part));
    if (text === this.#last) return;
    this.#last = text;
    this.show(value);
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (this.unseen() ? this.#later() : this.now()), this.everyMs);
  }
}

// Headers of a read that must see what was written at a position.
export function since(position) {
  return position ? { "Kefu-Min-Position": String(position) } : {};
}
