// Which page an address asks for: "#refunds/ID", "#processes/ID", anything else the conversations.
export const PAGES = ["conversations", "refunds", "processes"];

export function parse(hash) {
  const [page, ...rest] = hash.replace(/^#/, "").split("/");
  if (page !== "refunds" && page !== "processes") return { page: "conversations", id: null };
  return { page, id: decodeURIComponent(rest.join("/")) || null };
}

export function address(page, id = null) {
  if (page === "conversations") return "#";
  return id ? `#${page}/${encodeURIComponent(id)}` : `#${page}`;
}
