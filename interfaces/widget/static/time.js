// Times as people of the language write them.

export function clock(iso, lang) {
  return new Intl.DateTimeFormat(locale(lang), { hour: "2-digit", minute: "2-digit" }).format(
    new Date(iso),
  );
}

export function day(iso, lang) {
  return new Intl.DateTimeFormat(locale(lang), { dateStyle: "full" }).format(new Date(iso));
}

export function dayKey(iso) {
  return new Date(iso).toDateString();
}

// "now", minutes, hours today, else the date: for lists.
export function short(iso, lang, now = new Date()) {
  const then = new Date(iso);
  const minutes = Math.floor((now - then) / 60_000);
  if (minutes < 1) return lang === "zh" ? "刚刚" : "now";
  if (minutes < 60) return lang === "zh" ? `${minutes} 分钟` : `${minutes} min`;
  if (then.toDateString() === now.toDateString()) return clock(iso, lang);
  return new Intl.DateTimeFormat(locale(lang), { month: "short", day: "numeric" }).format(then);
}

function locale(lang) {
  return lang === "zh" ? "zh-CN" : "en-GB";
}
