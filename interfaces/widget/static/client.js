// One visitor's conversation: session, connection, thread, cursors. No DOM.
// Events: "change" (something to show), "message" (a new one from the other side).
import { Connection } from "./connection.js";
import { claim, load, safeStorage, store } from "./session.js";
import { newRef, RETRYABLE, Thread } from "./thread.js";

const OUTBOX = "kefu.outbox";
const TYPING_MS = 4_000;
const RETRY_MS = 1_000;

export class VisitorClient extends EventTarget {
  thread = new Thread();
  state = "offline";
  resolved = false;
  agentReadSeq = 0;
  typing = null;
  #session = null;
  #connection = null;
  #typingTimer = 0;
  #typedAt = 0;
  #storage = safeStorage();

  constructor(api, dataset) {
    super();
    this.api = api;
    this.dataset = dataset;
  }

  get self() {
    return this.#session?.contact_id;
  }

  async start() {
    this.#session = load(this.#storage) ?? (await this.#newSession());
    this.thread.restore(this.#storage.getItem(OUTBOX));
    this.#connect();
  }

  // After a resolved conversation.
  async startAnother() {
    this.api.token = this.#session.token;
    const session = await this.api.post("/widget/sessions", { new_conversation: true });
    this.#begin(session);
  }

  send(content) {
    const entry = this.thread.write(newRef(), content);
    this.#saveOutbox();
    this.#transmit(entry);
    this.#changed();
  }

  retry(ref) {
    const entry = this.thread.pending.find((one) => one.ref === ref);
    if (!entry) return;
    entry.state = "sending";
    this.#transmit(entry);
    this.#changed();
  }

  read() {
    const seq = this.thread.lastSeq;
    if (seq > 0) this.#frame({ type: "read", seq });
  }

  typed() {
    const now = Date.now();
    if (now - this.#typedAt < TYPING_MS / 2) return;
    this.#typedAt = now;
    this.#frame({ type: "typing", on: true });
  }

  async #newSession() {
    this.api.token = null;
    const contact = claim(this.dataset);
    const body = Object.keys(contact).length ? { contact } : {};
    const session = await this.api.post("/widget/sessions", body);
    store(session, this.#storage);
    return session;
  }

  #begin(session) {
    this.#connection?.close();
    this.#session = session;
    store(session, this.#storage);
    this.thread = new Thread();
    this.resolved = false;
    this.agentReadSeq = 0;
    this.#connect();
    this.#changed();
  }

  #connect() {
    const url = this.api.origin.replace(/^http/, "ws") + "/ws";
    const connection = new Connection(url, this.#session.token);
    this.#connection = connection;
    connection.addEventListener("state", ({ detail }) => {
      this.state = detail;
      if (detail === "online") this.#online();
      this.#changed();
    });
    connection.addEventListener("frame", ({ detail }) => this.#receive(detail));
    connection.addEventListener("unauthorized", async () => {
      store(null, this.#storage);
      try {
        this.#begin(await this.#newSession());
      } catch {
        setTimeout(() => this.#connect(), RETRY_MS * 5);
      }
    });
    connection.open();
  }

  #online() {
    this.#frame({ type: "subscribe", after_seq: this.thread.lastSeq });
    for (const entry of this.thread.unacked()) this.#transmit(entry);
  }

  #transmit({ ref, content }) {
    this.#frame({ type: "send", ref, content });
  }

  #frame(frame) {
    return this.#connection?.send({
      ...frame,
      conversation_id: this.#session.conversation_id,
    });
  }

  #receive(frame) {
    switch (frame.type) {
      case "message":
        if (this.thread.add(frame)) this.#arrived(frame);
        break;
      case "message_updated":
        this.thread.update(frame);
        break;
      case "ack":
        this.thread.ack(frame.ref, frame.message_id, frame.seq);
        this.#saveOutbox();
        break;
      case "read":
        if (frame.reader.kind === "agent") {
          this.agentReadSeq = Math.max(this.agentReadSeq, frame.seq);
        }
        break;
      case "typing":
        this.#othersType(frame);
        break;
      case "error":
        this.#refused(frame);
        break;
    }
    this.#changed();
  }

  #arrived(message) {
    if (message.author.id === this.self) return;
    this.typing = null;
    this.#frame({ type: "delivered", seq: message.seq });
    this.dispatchEvent(new CustomEvent("message", { detail: message }));
  }

  #othersType({ author, on }) {
    clearTimeout(this.#typingTimer);
    this.typing = on ? author.name : null;
    this.#typingTimer = setTimeout(() => {
      this.typing = null;
      this.#changed();
    }, TYPING_MS);
  }

  #refused({ ref, code }) {
    if (code === "conversation-resolved" || code === "contact-erased") this.resolved = true;
    if (ref && RETRYABLE.has(code)) setTimeout(() => this.retry(ref), RETRY_MS);
    else if (ref) this.thread.fail(ref, code);
    else if (RETRYABLE.has(code)) setTimeout(() => this.#online(), RETRY_MS);
    this.#saveOutbox();
  }

  #saveOutbox() {
    this.#storage.setItem(OUTBOX, this.thread.save());
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change"));
  }
}
