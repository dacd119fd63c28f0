// The console's state and its connection. Views listen for "change" with what changed.
import { Api } from "/widget/static/api.js";
import { Connection } from "/widget/static/connection.js";
import { newRef, RETRYABLE, Thread } from "/widget/static/thread.js";
import { Inbox } from "./inbox.js";

const KEY = "kefu.console";
const PAGE = 50;
const RETRY_MS = 1_000;
const TYPING_MS = 4_000;

export class State extends EventTarget {
  me = null;
  agents = [];
  inbox = new Inbox();
  connection = null;
  online = "offline";
  open = null; // the conversation that is shown
  threads = new Map(); // id -> Thread
  older = new Map(); // id -> there are earlier messages
  typing = new Map(); // conversation id -> { name, timer }
  #typedAt = 0;

  constructor() {
    super();
    this.api = new Api("");
    this.api.onUnauthorized = () => this.logout(true);
  }

  get canWrite() {
    return this.me?.role !== "auditor";
  }

  get canLookBack() {
    return this.me?.role === "auditor" || this.me?.role === "admin";
  }

  // The life of the open conversation, for auditors and administrators.
  lookBack() {
    if (this.open && this.canLookBack) this.dispatchEvent(new CustomEvent("look-back", { detail: this.open }));
  }

  async resume() {
    this.api.token = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
    if (!this.api.token) return false;
    try {
      this.me = await this.api.get("/auth/me");
    } catch {
      return false;
    }
    await this.#begin();
    return true;
  }

  async login(email, password) {
    this.api.token = null;
    const answer = await this.api.post("/auth/login", { email, password });
    this.api.token = answer.token;
    this.me = answer.agent;
    localStorage.setItem(KEY, answer.token);
    if (!answer.must_change_password) await this.#begin();
    return answer.must_change_password;
  }

  async changePassword(current, next) {
    await this.api.post("/auth/password", { current, new: next });
    await this.#begin();
  }

  async logout(expired = false) {
    if (!expired) await this.api.post("/auth/logout").catch(() => null);
    localStorage.removeItem(KEY);
    this.connection?.close();
    location.reload();
  }

  async #begin() {
    this.connection = new Connection(location.origin.replace(/^http/, "ws") + "/ws", this.api.token);
    this.connection.addEventListener("state", ({ detail }) => this.#connected(detail));
    this.connection.addEventListener("frame", ({ detail }) => this.#receive(detail));
    this.connection.addEventListener("unauthorized", () => this.logout(true));
    this.connection.open();
    await Promise.all([this.reload(), this.loadAgents()]);
  }

  async loadAgents() {
    this.agents = (await this.api.get("/agents")).data;
    this.changed("agents");
  }

  async reload(more = false) {
    const page = await this.api.get(`/conversations?${this.inbox.query(more)}`);
    this.inbox.fill(page, more);
    this.changed("inbox");
  }

  filter(changes) {
    this.inbox.filter = { ...this.inbox.filter, ...changes };
    this.reload().catch((error) => this.problem(error));
  }

  thread(id = this.open) {
    if (!this.threads.has(id)) this.threads.set(id, new Thread());
    return this.threads.get(id);
  }

  get conversation() {
    return this.inbox.get(this.open);
  }

  async show(id) {
    if (this.open && this.open !== id) {
      this.connection.send({ type: "unsubscribe", conversation_id: this.open });
    }
    this.open = id;
    this.changed("open");
    if (!this.inbox.get(id)) this.inbox.put(await this.api.get(`/conversations/${id}`));
    const thread = this.thread(id);
    if (thread.lastSeq === 0) {
      const last = this.inbox.get(id).last_seq;
      const page = await this.api.get(`/conversations/${id}/messages?before_seq=${last + 1}&limit=${PAGE}`);
      page.data.forEach((message) => thread.add(message));
      this.older.set(id, page.meta.has_more);
    }
    this.#follow(id);
    this.changed("thread");
    this.markRead();
  }

  // A person was erased: read the conversation anew, without what is no more.
  async forget(id) {
    this.threads.delete(id);
    this.inbox.put(await this.api.get(`/conversations/${id}`));
    await Promise.all([this.reload(), this.show(id)]);
  }

  async loadOlder() {
    const id = this.open;
    const before = this.thread().firstSeq;
    const page = await this.api.get(`/conversations/${id}/messages?before_seq=${before}&limit=${PAGE}`);
    page.data.forEach((message) => this.thread(id).add(message));
    this.older.set(id, page.meta.has_more);
    this.changed("older");
  }

  send(content, isPrivate) {
    const entry = this.thread().write(newRef(), content, isPrivate);
    this.#transmit(this.open, entry);
    this.changed("sent");
  }

  retry(ref, id = this.open) {
    const entry = this.thread(id).pending.find((one) => one.ref === ref);
    if (!entry) return;
    entry.state = "sending";
    this.#transmit(id, entry);
    this.changed("thread");
  }

  discard(ref) {
    this.thread().discard(ref);
    this.changed("thread");
  }

  markRead() {
    const seq = this.thread().lastSeq;
    if (!this.canWrite || !seq || document.visibilityState !== "visible") return;
    if ((this.conversation?.agent_read_seq ?? 0) >= seq) return;
    this.connection.send({ type: "read", conversation_id: this.open, seq });
  }

  typed() {
    const now = Date.now();
    if (now - this.#typedAt < TYPING_MS / 2) return;
    this.#typedAt = now;
    this.connection.send({ type: "typing", conversation_id: this.open, on: true });
  }

  // An action on the open conversation; its answer is the conversation as it is then.
  async act(path, body) {
    try {
      this.inbox.put(await this.api.post(`/conversations/${this.open}/${path}`, body));
      this.changed("inbox");
    } catch (error) {
      this.problem(error);
    }
  }

  async change(message, content) {
    const path = `/conversations/${this.open}/messages/${message.message_id}`;
    try {
      await this.api.request(content === null ? "DELETE" : "PATCH", path, content === null ? undefined : { content });
    } catch (error) {
      this.problem(error);
    }
  }

  problem(error) {
    this.dispatchEvent(new CustomEvent("problem", { detail: error }));
  }

  changed(what) {
    this.dispatchEvent(new CustomEvent("change", { detail: what }));
  }

  #connected(state) {
    this.online = state;
    if (state === "online") {
      this.connection.send({ type: "subscribe_inbox" });
      this.reload().catch((error) => this.problem(error));
      if (this.open) this.#follow(this.open);
      for (const [id, thread] of this.threads) {
        for (const entry of thread.unacked()) this.#transmit(id, entry);
      }
    }
    this.changed("connection");
  }

  #follow(id) {
    this.connection.send({ type: "subscribe", conversation_id: id, after_seq: this.thread(id).lastSeq });
  }

  #transmit(id, { ref, content, private: isPrivate }) {
    this.connection.send({ type: "send", ref, conversation_id: id, content, private: isPrivate });
  }

  #receive(frame) {
    const id = frame.conversation_id;
    switch (frame.type) {
      case "message":
        if (this.thread(id).add(frame)) this.#arrived(frame);
        return;
      case "message_updated":
        this.thread(id).update(frame);
        return this.changed("thread");
      case "ack":
        for (const thread of this.threads.values()) thread.ack(frame.ref, frame.message_id, frame.seq);
        return this.changed("thread");
      case "conversation":
        this.inbox.put(frame);
        return this.changed("inbox");
      case "read":
      case "delivered":
        this.inbox.cursor(frame);
        return this.changed("thread");
      case "typing":
        return this.#othersType(frame);
      case "refund":
        return this.dispatchEvent(new CustomEvent("refund", { detail: frame }));
      case "error":
        return this.#refused(frame);
    }
  }

  #arrived(message) {
    this.#stopTyping(message.conversation_id);
    this.changed("message");
    if (message.conversation_id === this.open) this.markRead();
  }

  #othersType({ conversation_id: id, author, on }) {
    this.#stopTyping(id);
    if (on) {
      const timer = setTimeout(() => this.#stopTyping(id), TYPING_MS);
      this.typing.set(id, { name: author.name, timer });
    }
    this.changed("typing");
  }

  #stopTyping(id) {
    const entry = this.typing.get(id);
    if (!entry) return;
    clearTimeout(entry.timer);
    this.typing.delete(id);
    this.changed("typing");
  }

  #refused({ ref, code, detail }) {
    if (!ref) {
      if (RETRYABLE.has(code) && this.open) setTimeout(() => this.#follow(this.open), RETRY_MS);
      return;
    }
    for (const [id, thread] of this.threads) {
      if (!thread.pending.some((entry) => entry.ref === ref)) continue;
      if (RETRYABLE.has(code)) setTimeout(() => this.retry(ref, id), RETRY_MS);
      else thread.fail(ref, code);
    }
    if (!RETRYABLE.has(code)) this.problem(new Error(detail));
    this.changed("thread");
  }
}
