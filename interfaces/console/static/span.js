// How long: ages and the time until a timer fires, as people of the language say it.
const UNITS = [["day", 86_400], ["hour", 3_600], ["minute", 60], ["second", 1]];

// "3 min", "2 hr": the largest unit that fits.
export function span(seconds, lang) {
  const whole = Math.max(0, Math.round(seconds));
  const [unit, size] = UNITS.find(([, length]) => whole >= length) ?? UNITS.at(-1);
  const format = new Intl.NumberFormat(lang === "zh" ? "zh-CN" : "en-GB", { style: "unit", unit, unitDisplay: "short" });
  return format.format(Math.floor(whole / size));
}

// "in 5 minutes", "3 seconds ago".
export function until(iso, lang, now = Date.now()) {
  const seconds = Math.round((Date.parse(iso) - now) / 1_000);
  const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? UNITS.at(-1);
  return new Intl.RelativeTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", { numeric: "always" }).format(Math.trunc(seconds / size), unit);
}

export function age(iso, lang, now = Date.now()) {
  return span((now - Date.parse(iso)) / 1_000, lang);
}

// Day and time to the second, in the reader's own zone.
export function moment(iso, lang) {
  return new Intl.DateTimeFormat(lang === "zh" ? "zh-CN" : "en-GB", {
    month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit",
  }).format(new Date(iso));
}
