// The pretend world as one person sees it: fetched anew after every change, and acted upon.
import { listen, look, tell } from "./door.js";
import { go, here } from "./route.js";

/** Whoever opens the page for the first time. */
const FIRST = "U0ANA";

export class World {
  /** The newest snapshot; null until the first has come. */
  state = null;
  #fetchedAt = 0;
  #running = null;
  #again = false;
  #listeningAs = null;
  #hangUp = () => {};
  #onChange;
  #onLink;

  /** onChange() after every new snapshot; onLink(up) when the simulator is lost or found again. */
  constructor({ onChange, onLink }) {
    this.#onChange = onChange;
    this.#onLink = onLink;
  }

  /** The pretend world's time, Unix seconds; it runs on between two snapshots. */
  get now() {
    return this.state.clock + (performance.now() - this.#fetchedAt) / 1000;
  }

  /** What drawing text needs to know of the world; visit(channel) follows a link to a channel. */
  scene(visit) {
    const { you, users, groups, channels } = this.state;
    const nobody = { id: you, name: you, real_name: you, tz: "UTC", kind: "member" };
    return {
      you: users.find(({ id }) => id === you) ?? nobody,
      users: new Map(users.map((user) => [user.id, user])),
      groups: new Map(groups.map((one) => [one.id, one])),
      channels: new Map(channels.map((channel) => [channel.id, channel])),
      now: this.now,
      visit,
    };
  }

  /** Does something as the present user; resolves to {ok, error} once the world that came of it is shown. */
  async act(what, body = {}) {
    const answer = await tell(what, { user: this.state.you, ...body });
    await this.refresh();
    return answer;
  }

  /** Fetches the world and shows it; calls that come meanwhile share the next round. */
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
    const { user } = here();
    // Whom the browser remembers may be unknown to another world.
    const fresh = (await look(user ?? FIRST)) ?? (await look(FIRST));
    this.#onLink(fresh !== null);
    if (!fresh) return void setTimeout(() => this.refresh(), 1000);
    if (here().user !== user) return void (this.#again = true); // one became somebody else meanwhile
    this.state = fresh;
    this.#fetchedAt = performance.now();
    if (user !== fresh.you) go({ ...here(), user: fresh.you });
    this.#listen(fresh.you);
    this.#onChange();
  }

  #listen(user) {
    if (this.#listeningAs === user) return;
    this.#hangUp();
    this.#listeningAs = user;
    this.#hangUp = listen(user, (version) => version !== this.state.version && this.refresh(), this.#onLink);
  }
}
