// Formats times for the simulated user: Slack's date tokens, message times, day dividers.
// https://docs.slack.dev/messaging/formatting-message-text/#date-formatting

const DAY = 86400;

/** Falls back to UTC if Intl does not know the user's. */
function zone(tz) {
  try {
    new Intl.DateTimeFormat("en-US", { timeZone: tz });
    return tz;
  } catch {
    return "UTC";
  }
}

const formats = new Map(); // cache: creating an Intl format is slow

function format(unix, tz, options) {
  const key = tz + JSON.stringify(options);
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-US", { ...options, timeZone: zone(tz) }));
  // Newer browsers put a narrow no-break space before AM and PM, which breaks copying and searching.
  return formats
    .get(key)
    .format(new Date(unix * 1000))
    .replace(/\u202f/g, " ");
}

const dayNumber = (unix, tz) => Date.parse(`${isoDay(unix, tz)}T00:00:00Z`) / 1000 / DAY;

function isoDay(unix, tz) {
  const [month, day, year] = format(unix, tz, { year: "numeric", month: "2-digit", day: "2-digit" }).split("/");
  return `${year}-${month}-${day}`;
}

/** "9:41 AM" */
export const clockTime = (unix, tz) => format(unix, tz, { hour: "numeric", minute: "2-digit" });

/** "9:41:07 AM" */
export const preciseTime = (unix, tz) => format(unix, tz, { hour: "numeric", minute: "2-digit", second: "2-digit" });

/** "Monday, November 23rd, 2026 at 9:41:07 AM" */
export const fullTime = (unix, tz) => `${longDate(unix, tz)} at ${preciseTime(unix, tz)}`;

/** "Mon, Nov 23, 9:41 AM": the simulated clock. */
export const wallTime = (unix, tz) =>
  format(unix, tz, { weekday: "short", month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });

/** "Today", "Yesterday" or "Friday, November 20th": the divider between two days of messages. */
export function dayName(unix, tz, now) {
  const near = nearDay(unix, tz, now);
  if (near) return near[0].toUpperCase() + near.slice(1);
  return `${format(unix, tz, { weekday: "long" })}, ${ordinalDate(unix, tz, false)}`;
}

/** "today at 9:41 AM" or "on November 20th, 2026 at 9:41 AM" */
export const dayAndTime = (unix, tz, now) =>
  `${nearDay(unix, tz, now) ?? `on ${ordinalDate(unix, tz)}`} at ${clockTime(unix, tz)}`;

function nearDay(unix, tz, now) {
  const days = dayNumber(unix, tz) - dayNumber(now, tz);
  return { "-1": "yesterday", 0: "today", 1: "tomorrow" }[days] ?? null;
}

function ordinalDate(unix, tz, withYear = true) {
  const day = Number(format(unix, tz, { day: "numeric" }));
  const teen = day % 100 >= 11 && day % 100 <= 13;
  const ending = teen ? "th" : ({ 1: "st", 2: "nd", 3: "rd" }[day % 10] ?? "th");
  const date = `${format(unix, tz, { month: "long" })} ${day}${ending}`;
  return withYear ? `${date}, ${format(unix, tz, { year: "numeric" })}` : date;
}

const shortDate = (unix, tz) => format(unix, tz, { month: "short", day: "numeric", year: "numeric" });
const longDate = (unix, tz) => `${format(unix, tz, { weekday: "long" })}, ${ordinalDate(unix, tz)}`;

/** "in 5 minutes", "2 hours ago", by the simulated clock. */
export function ago(unix, now) {
  const seconds = Math.round(unix - now);
  const units = [
    ["day", DAY],
    ["hour", 3600],
    ["minute", 60],
  ];
  const [unit, size] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
  return new Intl.RelativeTimeFormat("en").format(Math.trunc(seconds / size), unit);
}

const TOKENS = {
  date_num: (unix, tz) => isoDay(unix, tz),
  date: (unix, tz) => ordinalDate(unix, tz),
  date_short: shortDate,
  date_long: longDate,
  date_pretty: (unix, tz, now) => nearDay(unix, tz, now) ?? ordinalDate(unix, tz),
  date_short_pretty: (unix, tz, now) => nearDay(unix, tz, now) ?? shortDate(unix, tz),
  date_long_pretty: (unix, tz, now) => nearDay(unix, tz, now) ?? longDate(unix, tz),
  time: clockTime,
  time_secs: preciseTime,
  ago: (unix, _tz, now) => ago(unix, now),
};

/** Fills `{date} at {time}`; null if the time or a token is invalid, so that the fallback is shown. */
export function fillTokens(unix, pattern, tz, now) {
  if (!Number.isFinite(unix) || Math.abs(unix) > 8.64e12) return null;
  let known = true;
  const text = pattern.replace(/\{(\w+)\}/g, (_, token) => {
    known &&= Object.hasOwn(TOKENS, token);
    return known ? TOKENS[token](unix, tz, now) : "";
  });
  if (!known) return null;
  return pattern.startsWith("{") ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}

/** The unix time of a wall-clock "2026-11-23T09:41" in a time zone, for date-and-time pickers. */
export function unixOf(wall, tz) {
  const guess = Date.parse(`${wall}:00Z`) / 1000;
  if (!Number.isFinite(guess)) return null;
  // Repeated once for times near a daylight saving change.
  const first = guess - offset(guess, tz);
  return guess - offset(first, tz);
}

/** The inverse of unixOf. */
export const wallOf = (unix, tz) => new Date((unix + offset(unix, tz)) * 1000).toISOString().slice(0, 16);

function offset(unix, tz) {
  const time = format(unix, tz, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return Date.parse(`${isoDay(unix, tz)}T${time}Z`) / 1000 - Math.floor(unix);
}
