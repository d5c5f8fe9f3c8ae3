// The bot's modals.
// https://docs.slack.dev/surfaces/modals
import { Answers } from "./answers.js";
import { blockEntries, withIds } from "./blocks.js";
import { h, icon, reconcile, whileBusy } from "./dom.js";
import { plain } from "./mrkdwn.js";

/** The topmost modal, in a <dialog>, where the browser keeps the focus and restores it afterwards. */
export class Modal {
  #view = null;
  #answers = new Map(); // view id -> Answers
  #clientErrors = {}; // errors reported by the client before submitting
  #gone = new Set(); // dismissed here, but not yet in the state
  #post;
  #reader = null;

  /** post(what, body) resolves to {ok, error}, with the user filled in. */
  constructor({ post }) {
    this.#post = post;
    this.title = h("h2", { id: "modal-title" });
    this.body = h("div", { class: "dialog-body blocks" });
    this.trouble = h("div", { class: "error", role: "alert" });
    this.cancel = h("button", { type: "button", class: "button", onclick: () => this.element.close() });
    this.submit = h("button", { type: "submit", class: "button primary", data: { testid: "modal-submit" } });
    const cross = h(
      "button",
      {
        type: "button",
        class: "icon-button",
        "aria-label": "Close",
        data: { testid: "modal-close" },
        onclick: () => this.element.close(),
      },
      icon("close"),
    );
    const form = h(
      "form",
      {
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          this.#submit();
        },
      },
      h("header", {}, this.title, cross),
      this.body,
      h("footer", {}, this.trouble, this.cancel, this.submit),
    );
    this.element = h("dialog", { class: "dialog", "aria-labelledby": "modal-title", data: { testid: "modal" } }, form);
    this.element.addEventListener("close", (event) => {
      // The event is delayed: the bot may have opened another modal by then.
      if (event.target === this.element && !this.element.open) this.#dismissed();
    });
  }

  /** Shows the topmost of `modals`; `clientMessages` are the Slack client's messages about the last action. */
  update(modals, reader, clientMessages) {
    this.#reader = reader;
    const view = modals.filter(({ id }) => !this.#gone.has(id)).at(-1) ?? null;
    const isNew = view?.id !== this.#view?.id;
    for (const id of this.#answers.keys()) if (!modals.some((each) => each.id === id)) this.#answers.delete(id);
    this.#view = view && { ...view, blocks: withIds(view.blocks) };
    if (!view) return this.element.open && this.element.close();
    if (isNew) this.#begin();
    this.#draw();
    this.trouble.replaceChildren(...clientMessages.map((sentence) => h("p", {}, sentence)));
    if (!this.element.open) this.element.showModal();
    if (isNew) this.#focusFirst();
  }

  #begin() {
    this.#clientErrors = {};
    this.body.replaceChildren();
    this.body.scrollTop = 0;
  }

  #draw() {
    const { title, close, submit, blocks, errors } = this.#view;
    this.title.textContent = plain(title);
    this.cancel.textContent = plain(close) || "Close";
    this.submit.hidden = !submit;
    this.submit.textContent = plain(submit);
    const host = {
      reader: this.#reader,
      answers: this.#own(),
      surface: "modal",
      errors: { ...errors, ...this.#clientErrors },
      act: (action, node) => this.#act(action, node),
      suggest: (element, block_id, typed) =>
        this.#post("suggest", { view_id: this.#view.id, block_id, action_id: element.action_id, typed }),
    };
    reconcile(this.body, blockEntries(blocks, host));
  }

  #own() {
    const { id } = this.#view;
    if (!this.#answers.has(id)) this.#answers.set(id, new Answers());
    return this.#answers.get(id);
  }

  #focusFirst() {
    const field = ["[autofocus]", "input, textarea, select, .multi", "button"]
      .map((selector) => this.body.querySelector(selector))
      .find(Boolean);
    (field ?? (this.submit.hidden ? this.cancel : this.submit)).focus();
  }

  async #act(action, node) {
    const { id, blocks } = this.#view;
    const values = this.#own().values(blocks);
    await whileBusy(node, () => this.#post("press", { view_id: id, action, values }));
  }

  async #submit() {
    const { id, blocks, submit } = this.#view;
    if (!submit || this.submit.disabled) return;
    this.#clientErrors = this.#own().clientErrors(blocks);
    this.#draw();
    if (!Object.keys(this.#clientErrors).length) {
      await whileBusy(this.submit, () => this.#post("submit", { view_id: id, values: this.#own().values(blocks) }));
    }
    this.body.querySelector("[aria-invalid]")?.focus();
  }

  async #dismissed() {
    const view = this.#view;
    if (!view) return; // the bot closed it
    this.#gone.add(view.id);
    this.#view = null;
    await this.#post("dismiss", { view_id: view.id });
  }
}
