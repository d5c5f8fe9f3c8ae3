// App Home, the bot's own page for each person.
// https://docs.slack.dev/surfaces/app-home
import { Answers } from "./answers.js";
import { blockEntries, withIds } from "./blocks.js";
import { h, reconcile, whileBusy } from "./dom.js";

/** App Home; opening it notifies the bot, which then publishes the view. */
export class Home {
  element = h("div", { class: "home", tabindex: "0", data: { testid: "home" } });
  #trouble = h("div", { class: "error", role: "alert" });
  #body = h("div", { class: "blocks" });
  #answers = new Map(); // view id -> Answers
  #openedAs = null;
  #waiting = false;
  #post;
  #redraw;

  /** post(what, body) resolves to {ok, error}, with the user filled in; redraw() causes update(). */
  constructor({ post, redraw }) {
    this.#post = post;
    this.#redraw = redraw;
    this.element.append(h("div", { class: "home-page" }, this.#trouble, this.#body));
  }

  /** Notifies the bot, once per visit. */
  async opened(user) {
    if (this.#openedAs === user) return;
    this.#openedAs = user;
    this.#waiting = true;
    await this.#post("home");
    this.#waiting = false;
    this.#redraw();
  }

  left() {
    this.#openedAs = null;
  }

  update(view, reader, clientMessages) {
    this.#trouble.replaceChildren(...clientMessages.map((sentence) => h("p", {}, sentence)));
    const waiting = this.#waiting || this.#openedAs === null;
    const entries = view
      ? this.#entries(view, reader)
      : [{ key: "empty", print: String(waiting), build: () => empty(waiting) }];
    reconcile(
      this.#body,
      entries.map((entry) => ({ ...entry, key: `${reader.you.id} ${entry.key}` })),
    );
  }

  #entries(view, reader) {
    const blocks = withIds(view.blocks);
    if (!this.#answers.has(view.id)) this.#answers.set(view.id, new Answers());
    const answers = this.#answers.get(view.id);
    const act = (action, node) =>
      whileBusy(node, () => this.#post("press", { view_id: view.id, action, values: answers.values(blocks) }));
    return blockEntries(blocks, { reader, answers, surface: "home", errors: view.errors, act });
  }
}

const empty = (waiting) =>
  h(
    "div",
    { class: "empty", "aria-busy": String(waiting) },
    waiting && h("span", { class: "spinner" }),
    h("p", {}, waiting ? "Loading…" : "Nothing here yet. Open Messages, then come back to try again."),
  );
