// What the API refused, and what to do about it.
import texts from "./strings.js";

// { text, detail }: in the reader's language where the code is known, and the server's own words.
export function explain(error, t) {
  if (error.status === undefined) return { text: t("problem-network"), detail: "" };
  const key = `problem-${error.code}`;
  if (!texts[key]) return { text: error.message, detail: "" };
  return { text: t(key), detail: error.message };
}
