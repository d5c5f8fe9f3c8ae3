// Avatars.
import { h } from "./dom.js";

/** An avatar: colored initials, or zofbot's logo. */
export function avatar({ name, color, isBot }, size = "") {
  const words = name.split(/[\s._-]+/).filter(Boolean);
  const initials = words
    .slice(0, 2)
    .map((word) => [...word][0].toUpperCase())
    .join("");
  const look = `avatar ${size} ${isBot ? "bot" : ""}`;
  return h(
    "span",
    { class: look, "aria-hidden": "true", style: { "--face": isBot ? null : color } },
    isBot ? h("i") : initials,
  );
}
