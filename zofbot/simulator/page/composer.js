// The composer: keyboard handling, suggestions, history, and Slackbot's error messages.
import { offers } from "./completion.js";
import { h, icon, whileBusy } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

const TALLEST = 240; // px; taller text scrolls

export class Composer {
  #drafts = new Map(); // place -> unsent text, kept when another channel is opened
  #history = [];
  #recalled = null;
  #place = null;
  #world = { commands: [], users: [], channels: [] };
  #offered = { items: [], hint: null };
  #chosen = 0;

  /** `name` prefixes the test ids; send(text) resolves to {ok, error}; `dismiss` forgets the notice. */
  constructor({ name = "", send, dismiss }) {
    const id = `${name}composer`;
    this.send = send;
    this.dismiss = dismiss;
    this.box = h("textarea", {
      rows: 1,
      id,
      "aria-autocomplete": "list",
      "aria-controls": `${id}-offers`,
      autocomplete: "off",
      spellcheck: "false",
      data: { testid: id },
    });
    this.button = h(
      "button",
      { type: "submit", class: "send", "aria-label": "Send now", data: { testid: `${name}send` } },
      icon("send"),
    );
    this.list = h("div", {
      class: "offers",
      id: `${id}-offers`,
      role: "listbox",
      "aria-label": "Suggestions",
      hidden: true,
    });
    this.notice = h("div", { class: "notices", role: "status", data: { testid: `${name}notice` } });
    this.hint = h("span", { class: "keys" });
    this.element = h(
      "form",
      { class: "composer" },
      this.notice,
      this.list,
      h("div", { class: "composer-box" }, this.box, h("div", { class: "composer-foot" }, this.hint, this.button)),
    );
    this.#listen();
  }

  #listen() {
    this.element.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.box.addEventListener("input", () => {
      this.#recalled = null;
      this.#typed();
    });
    this.box.addEventListener("keydown", (event) => this.#key(event));
    this.box.addEventListener("click", () => this.#offer());
    this.box.addEventListener("blur", () => this.#drawOffers({ items: [], hint: null }));
  }

  /** Sets the place, the commands and names to suggest; `closed` is the reason why typing is not allowed. */
  update({ place, label, world, closed, notices, reader }) {
    this.#world = world;
    if (place !== this.#place) this.#move(place);
    this.box.setAttribute("aria-label", label);
    this.box.placeholder = closed ?? label;
    this.box.disabled = this.button.disabled = Boolean(closed);
    this.element.classList.toggle("closed", Boolean(closed));
    this.#drawNotices(notices, reader);
    this.#foot();
  }

  #move(place) {
    if (this.#place !== null) this.#drafts.set(this.#place, this.box.value);
    this.#place = place;
    this.#recalled = null;
    this.#write(this.#drafts.get(place) ?? "");
    this.#drawOffers({ items: [], hint: null });
  }

  focus() {
    this.box.focus({ preventScroll: true });
  }

  #write(text, caret = text.length) {
    this.box.value = text;
    this.box.setSelectionRange(caret, caret);
    this.#grow();
    this.#foot();
  }

  #typed() {
    this.#grow();
    this.#offer();
    this.#foot();
  }

  #grow() {
    this.box.style.height = "auto";
    this.box.style.height = `${Math.min(this.box.scrollHeight, TALLEST)}px`;
  }

  #foot() {
    const empty = !this.box.value.trim();
    this.button.classList.toggle("ready", !empty);
    const knowsCommands = this.#world.commands.length > 0;
    this.hint.replaceChildren(
      ...(empty && knowsCommands
        ? ["Type ", h("kbd", {}, "/"), " for commands"]
        : [h("kbd", {}, "Shift"), " + ", h("kbd", {}, "Enter"), " for a new line"]),
    );
  }

  #key(event) {
    if (event.isComposing) return; // Enter belongs to the input method editor
    const open = this.#offered.items.length > 0;
    if (event.key === "Escape" && (open || this.#offered.hint))
      return this.#take(event, () => this.#drawOffers({ items: [], hint: null }));
    if (open && event.key === "ArrowDown") return this.#take(event, () => this.#choose(1));
    if (open && event.key === "ArrowUp") return this.#take(event, () => this.#choose(-1));
    if (open && event.key === "Tab" && !event.shiftKey)
      return this.#take(event, () => this.#accept(Math.max(0, this.#chosen)));
    if (event.key === "Enter" && !event.shiftKey)
      return this.#take(event, () => (this.#wouldChange() ? this.#accept(this.#chosen) : this.#submit()));
    if (event.key === "ArrowUp" && (!this.box.value || this.#recalled !== null))
      return this.#take(event, () => this.#recall(1));
    if (event.key === "ArrowDown" && this.#recalled !== null) return this.#take(event, () => this.#recall(-1));
  }

  #take(event, act) {
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  #recall(step) {
    const to = (this.#recalled ?? -1) + step;
    if (to >= this.#history.length) return;
    this.#recalled = to < 0 ? null : to;
    this.#write(to < 0 ? "" : this.#history[to]);
  }

  #offer() {
    if (this.box.selectionStart !== this.box.selectionEnd) return;
    const offered = offers(this.box.value, this.box.selectionStart, this.#world);
    // Enter completes only if part of the word was typed or an item was chosen; otherwise it sends.
    this.#chosen = offered.to > offered.from ? 0 : -1;
    this.#drawOffers(offered);
  }

  #choose(step) {
    const { length } = this.#offered.items;
    const from = this.#chosen < 0 && step < 0 ? 0 : this.#chosen; // nothing chosen yet: Up starts at the last item
    this.#chosen = (from + step + length) % length;
    this.#drawOffers(this.#offered);
  }

  #wouldChange() {
    const item = this.#offered.items[this.#chosen];
    return Boolean(item) && this.box.value.slice(this.#offered.from, this.#offered.to) !== item.text.trimEnd();
  }

  #accept(index) {
    const { from, to, items } = this.#offered;
    const rest = this.box.value.slice(to).replace(/^ /, "");
    this.#write(this.box.value.slice(0, from) + items[index].text + rest, from + items[index].text.length);
    this.#offer();
  }

  #drawOffers(offered) {
    this.#offered = offered;
    const option = (item, index) =>
      h(
        "div",
        {
          class: "offer",
          role: "option",
          id: `${this.list.id}-${index}`,
          "aria-selected": String(index === this.#chosen),
          data: { testid: "offer" },
          // On mousedown, before a click moves the focus from the text, which would close the list.
          onmousedown: (event) => this.#take(event, () => this.#accept(index)),
        },
        h("b", {}, item.label),
        h("span", {}, item.detail ?? ""),
      );
    const hint =
      offered.hint &&
      h(
        "div",
        { class: "offer hinted", data: { testid: "offer-hint" } },
        h("b", {}, offered.hint.label),
        h("span", {}, offered.hint.detail ?? ""),
      );
    this.list.replaceChildren(...offered.items.map(option), ...(hint ? [hint] : []));
    this.list.hidden = !this.list.childElementCount;
    const active = offered.items.length > 0 && this.#chosen >= 0 ? `${this.list.id}-${this.#chosen}` : "";
    this.box.setAttribute("aria-activedescendant", active);
  }

  async #submit() {
    const text = this.box.value.trim();
    if (!text || this.box.disabled) return;
    this.#history.unshift(text);
    this.#recalled = null;
    this.#write("");
    this.#drawOffers({ items: [], hint: null });
    this.focus();
    const place = this.#place;
    const answer = await whileBusy(this.button, () => this.send(text));
    // The text is restored only if sending failed; otherwise the Up key recalls it.
    if (answer.unreachable && place === this.#place && !this.box.value) this.#write(text);
  }

  #drawNotices(notices, reader) {
    const print = JSON.stringify(notices);
    if (print === this.notice.dataset.print) return;
    this.notice.dataset.print = print;
    this.notice.replaceChildren(...notices.map((text) => this.#noticeLine(text, reader)));
  }

  #noticeLine(text, reader) {
    return h(
      "div",
      { class: "notice" },
      h("span", { class: "avatar slackbot", "aria-hidden": "true" }, "S"),
      h(
        "div",
        {},
        h("div", { class: "only-you" }, icon("eye"), "Only visible to you"),
        h("strong", {}, "Slackbot"),
        h("div", { class: "text" }, mrkdwn(text, reader)),
      ),
      h(
        "button",
        { type: "button", class: "icon-button", "aria-label": "Dismiss", onclick: () => this.dismiss() },
        icon("close"),
      ),
    );
  }
}
