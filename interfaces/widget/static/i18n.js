// Two languages: a catalogue is { key: [Chinese, English] }; {name} in a text is filled in.

const KEY = "kefu.lang";

export function detect(stored = safeGet(), preferred = navigator.language) {
  if (stored === "zh" || stored === "en") return stored;
  return /^zh\b/i.test(preferred || "") ? "zh" : "en";
}

export function remember(lang) {
  try {
    localStorage.setItem(KEY, lang);
  } catch {
    // Storage may be forbidden; the choice then lasts as long as the page.
  }
}

export function translator(catalogue, lang) {
  const column = lang === "zh" ? 0 : 1;
  return (key, values = {}) => {
    const text = catalogue[key]?.[column] ?? key;
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
  };
}

function safeGet() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
