// The scrolling list of messages.
import { h, icon, reconcile } from "./dom.js";

/** A list that stays scrolled to its end, or shows a button when new messages arrive below. */
export class MessageList {
  #scroller;
  #more = h(
    "button",
    { type: "button", class: "new-messages", hidden: true, onclick: () => this.toEnd() },
    icon("down"),
    "New messages",
  );
  #list = null;
  #key = null;
  #count = 0;
  #wasAtEnd = true;
  // Images and wrapped lines change heights later; keep the end in view.
  #sizes = new ResizeObserver(() => this.#wasAtEnd && this.toEnd());

  /** `name` prefixes the test id. */
  constructor({ name = "" } = {}) {
    this.#scroller = h("div", { class: "scroller", tabindex: "0", data: { testid: `${name}messages` } });
    this.element = h("div", { class: "messages" }, this.#scroller, this.#more);
    this.#scroller.addEventListener("scroll", () => {
      if (this.#atEnd()) this.#more.hidden = true;
    });
  }

  /**
   * Shows `entries`; another `key` (channel, person) starts a fresh list at its end.
   * `empty()` renders the placeholder if there are none.
   */
  show(key, label, entries, empty) {
    const fresh = key !== this.#key;
    if (fresh) this.#restart(key, label);
    const atEnd = fresh || this.#atEnd();
    reconcile(this.#list, entries.length ? entries : [{ key: "empty", print: "", build: empty }]);
    if (atEnd) this.toEnd();
    else if (entries.length > this.#count) this.#more.hidden = false;
    this.#count = entries.length;
  }

  #restart(key, label) {
    this.#key = key;
    // A new node, because a screen reader would announce the whole channel if the old one were refilled.
    this.#list = h("div", { class: "log", role: "log", "aria-live": "polite", "aria-label": label });
    this.#sizes.disconnect();
    this.#sizes.observe(this.#scroller);
    this.#sizes.observe(this.#list);
    this.#scroller.replaceChildren(this.#list);
    this.#more.hidden = true;
  }

  /** Clears the list, so that a closed thread does not stay in the document. */
  clear() {
    this.#key = null;
    this.#scroller.replaceChildren();
  }

  #atEnd() {
    const { scrollHeight, scrollTop, clientHeight } = this.#scroller;
    this.#wasAtEnd = scrollHeight - scrollTop - clientHeight < 48;
    return this.#wasAtEnd;
  }

  /** Scrolls to a message and highlights it. */
  reveal(ts) {
    const message = this.#scroller.querySelector(`[data-ts="${CSS.escape(ts)}"]`);
    message?.scrollIntoView({ block: "center" });
    message?.classList.add("found");
  }

  toEnd() {
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#wasAtEnd = true;
  }
}
