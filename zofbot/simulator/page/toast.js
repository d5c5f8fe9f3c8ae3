// Shows an error at the bottom of the page for a few seconds.
import { h } from "./dom.js";

const SHOWN_MS = 6000;

/** Replaces the toast that is shown, if any. */
export function toast(text) {
  document.querySelector(".toast")?.remove();
  const line = h("div", { class: "toast", role: "alert" }, text);
  // Everything outside an open modal dialog lies beneath it.
  const parent = [...document.querySelectorAll("dialog:modal")].at(-1) ?? document.getElementById("toasts");
  parent.append(line);
  setTimeout(() => line.remove(), SHOWN_MS);
}
