// The messages of one conversation: ordered by seq, each once, and those still on their way.
// No DOM, no network.

export class Thread {
  #bySeq = new Map();
  #pending = new Map();
  #acked = new Map();

  // The seq after which to subscribe again.
  lastSeq = 0;

  // Sent messages in order of seq.
  get messages() {
    return [...this.#bySeq.values()].sort((a, b) => a.seq - b.seq);
  }

  // Messages without a seq yet, in the order in which they were written.
  get pending() {
    return [...this.#pending.values()];
  }

  get firstSeq() {
    return this.#bySeq.size ? Math.min(...this.#bySeq.keys()) : 0;
  }

  // A message from the server; true if it is new. An ack may have come before it or after it.
  add(message) {
    const known = this.#bySeq.has(message.seq);
    if (!known) this.#bySeq.set(message.seq, message);
    this.lastSeq = Math.max(this.lastSeq, message.seq);
    for (const [ref, entry] of this.#pending) {
      if (entry.messageId === message.message_id) this.#pending.delete(ref);
    }
    this.#acked.delete(message.message_id);
    return !known;
  }

  // A changed message; unknown ones are older than what is shown.
  update(message) {
    if (this.#bySeq.has(message.seq)) this.#bySeq.set(message.seq, message);
  }

  // A message that was just written.
  write(ref, content, isPrivate = false) {
    const entry = { ref, content, private: isPrivate, state: "sending", messageId: null };
    this.#pending.set(ref, entry);
    return entry;
  }

  // Its ack; it stays until the message itself arrives.
  ack(ref, messageId, seq) {
    const entry = this.#pending.get(ref);
    if (!entry) return;
    if (this.#bySeq.has(seq)) this.#pending.delete(ref);
    else Object.assign(entry, { messageId, state: "sent" });
  }

  // It was refused for good.
  fail(ref, code) {
    const entry = this.#pending.get(ref);
    if (entry) Object.assign(entry, { state: "failed", code });
  }

  discard(ref) {
    this.#pending.delete(ref);
  }

  // What must be sent again after a reconnect, with the same refs.
  unacked() {
    return this.pending.filter((entry) => entry.state === "sending");
  }

  // For storage between page loads.
  save() {
    return JSON.stringify(this.unacked().map(({ ref, content, private: p }) => [ref, content, p]));
  }

  restore(text) {
    for (const [ref, content, isPrivate] of JSON.parse(text || "[]")) {
      this.write(ref, content, isPrivate);
    }
  }
}

// Errors after which the same message may be sent again.
export const RETRYABLE = new Set(["busy", "unavailable", "store-read-only", "index-rebuilding"]);

export function newRef() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");
}
