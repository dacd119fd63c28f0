// The life of a conversation as a list that somebody walks along. No DOM, no network.

export class Life {
  steps = [];
  at = -1;
  cursor = null;
  more = false;

  // A page of GET /conversations/{id}/history.
  add(page) {
    this.steps.push(...page.data);
    this.cursor = page.meta.after_cursor;
    this.more = page.meta.has_more;
    if (this.at === -1 && this.steps.length) this.at = 0;
  }

  get current() {
    return this.steps[this.at] ?? null;
  }

  // Go to a step; those outside the list are its ends. True: somewhere else than before.
  to(index) {
    const next = Math.min(this.steps.length - 1, Math.max(0, index));
    const moved = next !== this.at && next >= 0;
    if (moved) this.at = next;
    return moved;
  }

  // What a key does: the number of the step to go to, or null.
  key(name) {
    const targets = {
      ArrowRight: this.at + 1,
      ArrowDown: this.at + 1,
      ArrowLeft: this.at - 1,
      ArrowUp: this.at - 1,
      PageDown: this.at + 10,
      PageUp: this.at - 10,
      Home: 0,
      End: this.steps.length - 1,
    };
    return targets[name] ?? null;
  }

  // Somebody stands at the end of what is loaded, and there is more.
  get wantsMore() {
    return this.more && this.at >= this.steps.length - 1;
  }
}

export function person({ kind, id, name }, t) {
  if (name) return `${name} (${t(kind)})`;
  return kind === "system" ? t(kind) : `${t(kind)} ${id.slice(-4)}`;
}

// Id of the message that a step is about, or null.
export function messageOf(step) {
  if (step.stream.startsWith("message-")) return step.stream.slice("message-".length);
  return step.event.data?.message_id ?? null;
}

export function raw(step) {
  return JSON.stringify(step.event, null, 2);
}

// A station's time, or the bounds between which it lies.
export function stationTime(stop, t) {
  if (stop.at) return stop.at;
  const bounds = [];
  if (stop.not_before) bounds.push(t("after", { time: stop.not_before }));
  if (stop.not_after) bounds.push(t("before", { time: stop.not_after }));
  return bounds.join(", ");
}

// Why a station has no time; "" if it has one.
export function stationGap({ gap }, lang) {
  if (!gap) return "";
  return gap.detail ? `${gap[lang]}: ${gap.detail}` : gap[lang];
}
