// The visitor's session: a token kept on this page's origin, so that a reload goes on.
const KEY = "kefu.session";

export function load(storage = safeStorage()) {
  try {
    return JSON.parse(storage.getItem(KEY) || "null");
  } catch {
    return null;
  }
}

export function store(session, storage = safeStorage()) {
  if (session) storage.setItem(KEY, JSON.stringify(session));
  else storage.removeItem(KEY);
}

export function safeStorage() {
  try {
    localStorage.getItem(KEY);
    return localStorage;
  } catch {
    // Storage may be forbidden; the session then lasts as long as the page.
    const values = new Map();
    return {
      getItem: (key) => values.get(key) ?? null,
      setItem: (key, value) => values.set(key, value),
      removeItem: (key) => values.delete(key),
    };
  }
}

// What the page says of its visitor, from the script tag's data attributes.
export function claim(dataset) {
  const contact = {};
  if (dataset.identifier) contact.identifier = dataset.identifier;
  if (dataset.identifierHash) contact.identifier_hash = dataset.identifierHash;
  if (dataset.name) contact.name = dataset.name;
  if (dataset.email) contact.email = dataset.email;
  return contact;
}
