// The light or dark theme: as the system asks for, until the button chooses one.
import { icon } from "./dom.js";
import { recall, remember } from "./route.js";

/** Applies the stored theme and lets `button` switch it. */
export function startTheme(button) {
  button.append(icon("moon"));
  if (recall("theme")) setTheme(recall("theme"), button);
  button.addEventListener("click", () => {
    const isDark = getComputedStyle(document.documentElement).getPropertyValue("--is-dark").trim() === "1";
    setTheme(isDark ? "light" : "dark", button);
    remember("theme", document.documentElement.dataset.theme);
  });
}

function setTheme(theme, button) {
  document.documentElement.dataset.theme = theme;
  button.setAttribute("aria-pressed", String(theme === "dark"));
}
