// Keeps what is on screen up to date: asks at once, and again every 2 s while it can still change.
// No DOM but for whether the page is seen at all.

export const EVERY_MS = 2_000;

export class Watch {
  #timer = 0;
  #asked = 0;
  #position = 0; // of what was written here last: no later answer may be older
  #last = null;
  #troubled = false;

  // load(position): the value, no older than that position of the log; show(value): it changed;
  // settled(value): nothing more will happen by itself; problem(error): told once until it works again.
  constructor({ load, show, settled, problem = () => {}, everyMs = EVERY_MS, unseen = () => document.hidden }) {
    Object.assign(this, { load, show, settled, problem, everyMs, unseen });
  }

  async now(position) {
    const asked = ++this.#asked;
    clearTimeout(this.#timer);
    this.#position = Math.max(this.#position, position ?? 0);
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
    }
  }

  stop() {
    this.#asked += 1;
    clearTimeout(this.#timer);
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
