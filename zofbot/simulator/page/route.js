// Where in the demo one is: who, which channel or Home, which thread. The address bar is the one memory of it,
// so the back button, a reload and a shared link all do what one expects.

/** #/U0ANA/C0QA/1795467000.000100 -> { user, place, thread }; missing parts are null. */
export function here() {
  const [, user, place, thread] = location.hash.split("/").map(decodeURIComponent);
  return { user: user || recall("user"), place: place || null, thread: thread || null };
}

/** Goes somewhere; a `hashchange` follows when that is elsewhere. */
export function go({ user, place, thread }) {
  remember("user", user);
  location.hash = `#/${[user, place, thread].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

/** What a link to a message of the pretend workspace points at, as go() takes it; null for any other address. */
export function permalink(url) {
  const found = url.match(/^https:\/\/\w+\.slack\.example\/archives\/(\w+)\/p(\d+)(\d{6})(?:\?thread_ts=([\d.]+))?/);
  if (!found) return null;
  const [, channel, seconds, micros, thread] = found;
  return { place: channel, thread, ts: `${seconds}.${micros}` };
}

/** A small wish that outlives the page, such as the theme; null when there is none or storage is off. */
export function recall(name) {
  try {
    return localStorage.getItem(`zofbot-demo-${name}`);
  } catch {
    return null;
  }
}

/** Keeps such a wish. */
export function remember(name, value) {
  try {
    localStorage.setItem(`zofbot-demo-${name}`, value);
  } catch {
    // A browser that forbids storage forgets the theme on reload; nothing else is lost.
  }
}
