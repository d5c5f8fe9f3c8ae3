// HTTP calls to the simulator: read the state, perform actions, receive changes.

/** Fetches the state for one user; null if the user is unknown or the simulator does not answer. */
export async function fetchState(user) {
  try {
    const answer = await fetch(`/sim/state?user=${encodeURIComponent(user)}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** Performs an action, POST /sim/<what>; never throws: failures are {ok: false, error: "a sentence"}. */
export async function post(what, body) {
  try {
    const answer = await fetch(`/sim/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    return await answer.json();
  } catch {
    return {
      ok: false,
      unreachable: true,
      error: "The demo is not responding. Check that it is still running in its terminal.",
    };
  }
}

/**
 * Calls onVersion(n) at once and after every change, onLink(up) when the connection is lost or restored.
 * Returns a function that closes the stream.
 */
export function listen(user, onVersion, onLink) {
  let source = null;
  let again = 0;
  const dial = () => {
    source = new EventSource(`/sim/live?user=${encodeURIComponent(user)}`);
    source.onopen = () => onLink(true);
    source.onmessage = (event) => onVersion(JSON.parse(event.data).version);
    source.onerror = () => {
      onLink(false);
      // The browser reconnects by itself, except after a refusal, such as while the simulator restarts.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(dial, 1000);
    };
  };
  dial();
  return () => {
    clearTimeout(again);
    source.close();
  };
}
