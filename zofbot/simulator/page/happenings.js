// The tab that ends runs at the simulated Zof, and selects how the bot is notified.
import { h, whileBusy } from "./dom.js";

const ENVELOPES = [
  ["current", "today's"],
  ["older", "the older"],
];

export class Happenings {
  #tell;
  #redraw;
  #state = null;
  #project = null;
  #environment = null;

  /** tell(what, body) resolves to {ok, error}; redraw() causes update(). */
  constructor({ tell, redraw }) {
    this.#tell = tell;
    this.#redraw = redraw;
  }

  update(state) {
    this.#state = state;
    this.#project ??= state.projects[0]?.id;
    this.#environment ??= this.#environments()[0];
  }

  #environments() {
    return this.#state.projects.find(({ id }) => id === this.#project)?.environments ?? [];
  }

  /** The tab as one entry for reconcile(). */
  entry() {
    const { projects, happenings, webhook } = this.#state;
    const print = JSON.stringify([projects, happenings, webhook, this.#project, this.#environment]);
    return { key: "happenings", print, build: () => this.#page() };
  }

  #page() {
    const { projects, happenings } = this.#state;
    const named = projects.map(({ id, name }) => [id, name]);
    const environments = this.#environments().map((name) => [name, name]);
    return h(
      "div",
      { class: "happenings" },
      h("p", { class: "faint" }, "Let a test run end at Zof, then watch #qa-alerts: the bot tells it there, once."),
      h(
        "fieldset",
        {},
        h("legend", {}, "A run ends"),
        h(
          "div",
          { class: "where" },
          this.#choice("Project", "project", named, this.#project, (id) => {
            this.#project = id;
          }),
          this.#choice("Environment", "environment", environments, this.#environment, (name) => {
            this.#environment = name;
          }),
        ),
        h("div", { class: "deeds" }, happenings.map(({ id, label }, at) => this.#deed(id, label, at === 0))),
      ),
      this.#webhook(),
    );
  }

  #choice(label, name, options, chosen, choose) {
    const select = h(
      "select",
      { data: { testid: `run-${name}`, field: `run-${name}` } },
      options.map(([id, text]) => h("option", { value: id, selected: id === chosen }, text)),
    );
    select.addEventListener("change", () => {
      choose(select.value);
      this.#redraw();
    });
    return h("label", {}, h("span", { class: "faint" }, label), select);
  }

  #deed(what, label, isFirst) {
    const where = () => ({ what, project: this.#project, environment: this.#environment });
    const button = h(
      "button",
      {
        type: "button",
        class: `button${isFirst ? " primary" : ""}`,
        data: { testid: `run-${what}`, field: `run-${what}` },
        onclick: () => whileBusy(button, () => this.#tell("run", where())),
      },
      label,
    );
    return button;
  }

  #webhook() {
    const { on, last } = this.#state.webhook;
    const toggle = h("input", {
      type: "checkbox",
      role: "switch",
      checked: on,
      data: { testid: "webhook-on", field: "webhook-on" },
      onchange: () => this.#tell("webhook", { on: toggle.checked }),
    });
    const how = on
      ? "A signed webhook says that a run has ended: the alert comes within a second."
      : "No webhook: the bot finds out when it looks at Zof, here every 5 seconds.";
    return h(
      "fieldset",
      {},
      h("legend", {}, "How the bot hears of it"),
      h("label", { class: "tick switch" }, toggle, h("span", {}, "Zof sends webhooks")),
      h("p", { class: "faint" }, how),
      on && this.#envelopes(),
      last &&
        h(
          "p",
          { class: "faint", data: { testid: "webhook-last" } },
          "The last one: ",
          h("code", {}, last.type),
          last.status ? `, answered ${last.status}` : ", not answered",
        ),
    );
  }

  #envelopes() {
    const option = ([id, label]) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: "envelope",
          checked: this.#state.webhook.generation === id,
          data: { testid: `webhook-${id}`, field: `webhook-${id}` },
          onchange: () => this.#tell("webhook", { generation: id }),
        }),
        h("span", {}, label),
      );
    return h(
      "div",
      { class: "times", role: "group", "aria-label": "The webhook's envelope" },
      h("span", { class: "faint" }, "In"),
      h("span", { class: "segments" }, ENVELOPES.map(option)),
      h("span", { class: "faint" }, "envelope"),
    );
  }
}
