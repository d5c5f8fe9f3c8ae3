// The tab that shows and advances the simulated time.
import { unixOf, wallOf, wallTime } from "./dates.js";
import { h, whileBusy } from "./dom.js";

const DAY = 86400;
const STEPS = [
  ["1m", "+1 min", () => 60],
  ["15m", "+15 min", () => 900],
  ["1h", "+1 hour", () => 3600],
  ["night", "Until tonight at 11 PM", (now, tz) => secondsUntil("23:00", now, tz)],
  ["morning", "Until tomorrow at 9 AM", (now, tz) => unixOf(`${wallOf(now + DAY, tz).slice(0, 10)}T09:00`, tz) - now],
];

/** Seconds until the clock shows `wall` next, today or tomorrow. */
function secondsUntil(wall, now, tz) {
  const at = (day) => unixOf(`${wallOf(day, tz).slice(0, 10)}T${wall}`, tz);
  return (at(now) > now ? at(now) : at(now + DAY)) - now;
}

/** The tab as one entry for reconcile(); `now()` returns the simulated time. */
export function clockEntry({ you, now }, post, time) {
  const print = `${you.id} ${Math.floor(now / 60)}`;
  return { key: "clock", print, build: () => clock(you, now, post, time) };
}

function clock({ tz }, now, post, time) {
  const step = ([name, label, seconds]) => {
    const button = h(
      "button",
      {
        type: "button",
        class: "button",
        data: { testid: `clock-${name}`, field: `clock-${name}` },
        onclick: () => whileBusy(button, () => post("clock", { advance: seconds(time(), tz) })),
      },
      label,
    );
    return button;
  };
  return h(
    "div",
    { class: "clock" },
    h(
      "p",
      { class: "faint" },
      "The demo has its own clock. Move it forward to see reminders, escalations and digests arrive.",
    ),
    h("p", { class: "big" }, wallTime(now, tz)),
    h("p", { class: "faint" }, tz),
    h("div", { class: "row" }, STEPS.map(step)),
  );
}
