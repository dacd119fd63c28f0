// A WebSocket that stays connected: subprotocol kefu.v1, heartbeat, reconnect.
// Events: "state" (detail: connecting|online|offline), "frame" (detail: the frame), "unauthorized".
import { delayMs } from "./backoff.js";

const PING_MS = 20_000;
const PONG_MS = 8_000;
const UNAUTHENTICATED = 4401;

export class Connection extends EventTarget {
  #url;
  #token;
  #socket = null;
  #attempt = 0;
  #retry = 0;
  #ping = 0;
  #pong = 0;
  #closed = false;
  state = "offline";

  constructor(url, token) {
    super();
    this.#url = url;
    this.#token = token;
    this.online = () => this.#open();
    this.offline = () => this.#drop();
    globalThis.addEventListener?.("online", this.online);
    globalThis.addEventListener?.("offline", this.offline);
  }

  open() {
    this.#closed = false;
    this.#open();
  }

  close() {
    this.#closed = true;
    globalThis.removeEventListener?.("online", this.online);
    globalThis.removeEventListener?.("offline", this.offline);
    this.#forget();
    this.#become("offline");
  }

  // True if the frame went out; false: not connected, send it again when the state is "online".
  send(frame) {
    if (this.state !== "online") return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #open() {
    if (this.#closed || this.#socket) return;
    clearTimeout(this.#retry);
    this.#become("connecting");
    const socket = new WebSocket(this.#url, ["kefu.v1", `bearer.${this.#token}`]);
    this.#socket = socket;
    socket.onopen = () => {
      this.#attempt = 0;
      this.#become("online");
      this.#beat();
    };
    socket.onmessage = (message) => this.#receive(JSON.parse(message.data));
    socket.onclose = (close) => {
      if (this.#socket === socket) this.#lost(close.code);
    };
  }

  #receive(frame) {
    clearTimeout(this.#pong);
    this.#pong = 0;
    if (frame.type !== "pong") this.dispatchEvent(new CustomEvent("frame", { detail: frame }));
  }

  // A network that vanished closes nothing: only a missing pong tells.
  #beat() {
    clearTimeout(this.#ping);
    this.#ping = setTimeout(() => {
      if (!this.send({ type: "ping", ref: null })) return;
      this.#pong = setTimeout(() => this.#drop(), PONG_MS);
      this.#beat();
    }, PING_MS);
  }

  #drop() {
    if (this.#socket) this.#lost(0);
  }

  #lost(code) {
    this.#forget();
    if (code === UNAUTHENTICATED) {
      this.#closed = true;
      this.#become("offline");
      this.dispatchEvent(new CustomEvent("unauthorized"));
      return;
    }
    this.#become("offline");
    if (!this.#closed) {
      this.#retry = setTimeout(() => this.#open(), delayMs(this.#attempt++));
    }
  }

  #forget() {
    for (const timer of [this.#retry, this.#ping, this.#pong]) clearTimeout(timer);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new CustomEvent("state", { detail: state }));
  }
}
