// Speaks with the simulator: looks at the world, tells it what a person did, hears when it changed.

/** The world as one person sees it; null when the simulator knows no such person or does not answer. */
export async function look(user) {
  try {
    const answer = await fetch(`/sim/state?user=${encodeURIComponent(user)}`);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** One deed, POST /sim/<what>; never raises: {ok: false, error: "a sentence"} says what went wrong. */
export async function tell(what, body) {
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
      error: "The simulator cannot be reached. Is the demo still running in its terminal?",
    };
  }
}

/**
 * Calls onVersion(n) at once and after every change, onLink(up) when the line is lost or found again.
 * Returns a function that hangs up.
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
      // The browser redials by itself except after a refusal, such as while the simulator restarts.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(dial, 1000);
    };
  };
  dial();
  return () => {
    clearTimeout(again);
    source.close();
  };
}
