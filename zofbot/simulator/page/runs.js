// The tab that ends runs at the simulated Zof, and selects how the bot is notified.
import { h, whileBusy } from "./dom.js";

const ENVELOPES = [
  ["current", "Current"],
  ["older", "Older"],
];

export class RunControls {
  #post;
  #redraw;
  #state = null;
  #project = null;
  #environment = null;

  /** post(what, body) resolves to {ok, error}; redraw() causes update(). */
  constructor({ post, redraw }) {
    this.#post = post;
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
    const { projects, scenarios, webhook } = this.#state;
    const print = JSON.stringify([projects, scenarios, webhook, this.#project, this.#environment]);
    return { key: "runs", print, build: () => this.#page() };
  }

  #page() {
    const { projects, scenarios } = this.#state;
    const named = projects.map(({ id, name }) => [id, name]);
    const environments = this.#environments().map((name) => [name, name]);
    return h(
      "div",
      { class: "runs" },
      h("p", { class: "faint" }, "Finish a test run in Zof. If it fails, zofbot posts an alert in #qa-alerts."),
      h(
        "fieldset",
        {},
        h("legend", {}, "Finish a run"),
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
        h("div", { class: "run-buttons" }, scenarios.map(({ id, label }, at) => this.#runButton(id, label, at === 0))),
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

  #runButton(what, label, isFirst) {
    const where = () => ({ what, project: this.#project, environment: this.#environment });
    const button = h(
      "button",
      {
        type: "button",
        class: `button${isFirst ? " primary" : ""}`,
        data: { testid: `run-${what}`, field: `run-${what}` },
        onclick: () => whileBusy(button, () => this.#post("run", where())),
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
      onchange: () => this.#post("webhook", { on: toggle.checked }),
    });
    const how = on
      ? "Zof sends a signed webhook when a run finishes: the alert is posted within a second."
      : "No webhooks: zofbot polls Zof every 5 seconds.";
    return h(
      "fieldset",
      {},
      h("legend", {}, "How zofbot finds out"),
      h("label", { class: "tick switch" }, toggle, h("span", {}, "Send webhooks")),
      h("p", { class: "faint" }, how),
      on && this.#envelopes(),
      last &&
        h(
          "p",
          { class: "faint", data: { testid: "webhook-last" } },
          "Last webhook: ",
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
          onchange: () => this.#post("webhook", { generation: id }),
        }),
        h("span", {}, label),
      );
    return h(
      "div",
      { class: "times", role: "group", "aria-label": "Webhook format" },
      h("span", { class: "faint" }, "Format"),
      h("span", { class: "segments" }, ENVELOPES.map(option)),
    );
  }
}
