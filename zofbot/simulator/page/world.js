// The state of the simulated world for one user: fetched after every change, with functions to act on it.
import { fetchState, listen, post } from "./api.js";
import { currentRoute, navigate } from "./route.js";

/** The user when the page is opened for the first time. */
const FIRST = "U0ANA";

export class World {
  /** The newest snapshot; null until the first has come. */
  state = null;
  #fetchedAt = 0;
  #running = null;
  #again = false;
  #listeningAs = null;
  #stopListening = () => {};
  #onChange;
  #onLink;

  /** Calls onChange() after every new snapshot, and onLink(up) when the connection is lost or restored. */
  constructor({ onChange, onLink }) {
    this.#onChange = onChange;
    this.#onLink = onLink;
  }

  /** The simulated world's time, Unix seconds; it advances between two snapshots. */
  get now() {
    return this.state.clock + (performance.now() - this.#fetchedAt) / 1000;
  }

  /** The data needed to render text; visit(channel) follows a link to a channel. */
  reader(visit) {
    const { you, users, groups, channels } = this.state;
    const nobody = { id: you, name: you, real_name: you, tz: "UTC", kind: "member" };
    return {
      you: users.find(({ id }) => id === you) ?? nobody,
      users: new Map(users.map((user) => [user.id, user])),
      groups: new Map(groups.map((each) => [each.id, each])),
      channels: new Map(channels.map((channel) => [channel.id, channel])),
      now: this.now,
      visit,
    };
  }

  /** Performs an action as the current user; resolves to {ok, error} once the new state is shown. */
  async act(what, body = {}) {
    const answer = await post(what, { user: this.state.you, ...body });
    await this.refresh();
    return answer;
  }

  /** Fetches and shows the state; calls made meanwhile share the next fetch. */
  refresh() {
    this.#again = true;
    this.#running ??= this.#rounds();
    return this.#running;
  }

  async #rounds() {
    try {
      while (this.#again) {
        this.#again = false;
        await this.#round();
      }
    } finally {
      this.#running = null;
    }
  }

  async #round() {
    const { user } = currentRoute();
    // The remembered user may not exist in a restarted demo.
    const fresh = (await fetchState(user ?? FIRST)) ?? (await fetchState(FIRST));
    this.#onLink(fresh !== null);
    if (!fresh) return void setTimeout(() => this.refresh(), 1000);
    if (currentRoute().user !== user) return void (this.#again = true); // the user was switched meanwhile
    this.state = fresh;
    this.#fetchedAt = performance.now();
    if (user !== fresh.you) navigate({ ...currentRoute(), user: fresh.you });
    this.#listen(fresh.you);
    this.#onChange();
  }

  #listen(user) {
    if (this.#listeningAs === user) return;
    this.#stopListening();
    this.#listeningAs = user;
    this.#stopListening = listen(user, (version) => version !== this.state.version && this.refresh(), this.#onLink);
  }
}
