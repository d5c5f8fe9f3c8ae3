// Routing: the user, the channel or Home, and the thread are stored only in the URL,
// so the back button, a reload and a shared link work as expected.

/** #/U0ANA/C0QA/1795467000.000100 -> { user, place, thread }; missing parts are null. */
export function currentRoute() {
  const [, user, place, thread] = location.hash.split("/").map(decodeURIComponent);
  return { user: user || recall("user"), place: place || null, thread: thread || null };
}

/** Navigates; a `hashchange` event follows if the place changes. */
export function navigate({ user, place, thread }) {
  remember("user", user);
  location.hash = `#/${[user, place, thread].filter(Boolean).map(encodeURIComponent).join("/")}`;
}

/** The arguments of navigate() for a link to a message of the simulated workspace; null for any other URL. */
export function permalink(url) {
  const found = url.match(/^https:\/\/\w+\.slack\.example\/archives\/(\w+)\/p(\d+)(\d{6})(?:\?thread_ts=([\d.]+))?/);
  if (!found) return null;
  const [, channel, seconds, micros, thread] = found;
  return { place: channel, thread, ts: `${seconds}.${micros}` };
}

/** Reads a stored preference such as the theme; null if there is none or storage is disabled. */
export function recall(name) {
  try {
    return localStorage.getItem(`zofbot-demo-${name}`);
  } catch {
    return null;
  }
}

/** Stores a preference. */
export function remember(name, value) {
  try {
    localStorage.setItem(`zofbot-demo-${name}`, value);
  } catch {
    // Without storage only the preference is lost on reload.
  }
}
