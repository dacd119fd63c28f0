// The conversation list: rows by id, the filter, paging. No DOM, no network.

export class Inbox {
  filter = { status: "open", assignee: "", q: "" };
  cursorAfter = null;
  #rows = new Map();
  #listed = new Set();

  get(id) {
    return this.#rows.get(id);
  }

  // Rows that belong into the list, newest activity first.
  get rows() {
    return [...this.#listed]
      .map((id) => this.#rows.get(id))
      .filter((row) => this.#matches(row))
      .sort((a, b) => (a.updated_at < b.updated_at ? 1 : a.updated_at > b.updated_at ? -1 : 0));
  }

  get unread() {
    return this.rows.filter((row) => row.unread_count > 0).length;
  }

  query(more) {
    const query = new URLSearchParams({ status: this.filter.status, limit: "50" });
    if (this.filter.assignee) query.set("assignee", this.filter.assignee);
    if (this.filter.q.trim()) query.set("q", this.filter.q.trim());
    if (more && this.cursorAfter) query.set("cursor", this.cursorAfter);
    return query;
  }

  fill(page, more) {
    if (!more) this.#listed.clear();
    for (const row of page.data) {
      this.#keep(row);
      this.#listed.add(row.id);
    }
    this.cursorAfter = page.meta.after_cursor;
  }

  // A row that changed; it joins the list unless a search decides what is in it.
  put(row) {
    this.#keep(row);
    if (!this.filter.q.trim()) this.#listed.add(row.id);
  }

  cursor({ type, conversation_id: id, reader, seq }) {
    const row = this.#rows.get(id);
    if (!row) return;
    const name = reader.kind === "agent" ? (type === "read" ? "agent_read_seq" : null) : `visitor_${type}_seq`;
    if (name && seq > row[name]) row[name] = seq;
    if (name === "agent_read_seq" && seq >= row.last_seq) row.unread_count = 0;
  }

  // An answer and a pushed row may cross: the older one must not win.
  #keep(row) {
    const known = this.#rows.get(row.id);
    if (known && known.updated_at > row.updated_at) return;
    this.#rows.set(row.id, row);
  }

  #matches(row) {
    const { status, assignee, me } = this.filter;
    if (status !== "all" && row.status !== status) return false;
    if (assignee === "none") return row.assignee_id === null;
    if (assignee === "me") return row.assignee_id === me;
    return true;
  }
}
