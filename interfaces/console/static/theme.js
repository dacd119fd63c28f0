// Light or dark: the system's choice unless the person made one.
const KEY = "kefu.theme";

export function applyTheme() {
  const chosen = localStorage.getItem(KEY);
  if (chosen) document.documentElement.dataset.theme = chosen;
}

export function toggleTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = document.documentElement.dataset.theme ?? (dark ? "dark" : "light");
  localStorage.setItem(KEY, now === "dark" ? "light" : "dark");
  applyTheme();
}
