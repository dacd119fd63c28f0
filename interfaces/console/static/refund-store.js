// Refunds of the conversation that is open, with the processes of those under way; kept up to date.
import { isOver } from "./refund-model.js";
import { Watch, since } from "./watch.js";

export class RefundStore {
  #conversation = null;
  #value = { refunds: [], sagas: {} };

  constructor(state) {
    this.state = state;
    this.watch = new Watch({
      load: (position) => this.#load(position),
      show: (value) => this.#show(value),
      settled: ({ refunds }) => refunds.every(isOver),
      problem: (error) => state.problem(error),
    });
    state.addEventListener("change", ({ detail }) => detail === "open" && this.#follow());
    state.addEventListener("refund", ({ detail }) => {
      if (detail.conversation_id === this.#conversation) this.watch.nudge();
    });
  }

  get refunds() {
    return this.#value.refunds;
  }

  // The process of a refund, where it is under way; else null.
  saga(refund) {
    return this.#value.sagas[refund.saga_id] ?? null;
  }

  // After something was written here: the answer says at which position of the log.
  now(position) {
    return this.#conversation ? this.watch.now(position) : Promise.resolve();
  }

  #follow() {
    if (this.#conversation === this.state.open) return;
    this.#conversation = this.state.open;
    this.#value = { refunds: [], sagas: {} };
    this.watch.stop();
    if (this.#conversation) this.watch.now();
  }

  async #load(position) {
    const { api } = this.state;
    const id = this.#conversation;
    const page = await api.get(`/conversations/${id}/refunds`, since(position));
    const underWay = page.data.filter((refund) => refund.saga_id && !isOver(refund));
    const sagas = await Promise.all(underWay.map((refund) => api.get(`/sagas/${refund.saga_id}`)));
    return { id, refunds: page.data, sagas: Object.fromEntries(sagas.map((saga) => [saga.id, saga])) };
  }

  #show(value) {
    if (value.id !== this.#conversation) return;
    this.#value = value;
    this.state.changed("refunds");
  }
}
