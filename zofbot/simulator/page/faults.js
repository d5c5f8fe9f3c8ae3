// Injects faults into Zof and Slack, shows and ends them; archives channels.
import { h, whileBusy } from "./dom.js";

const NAMES = { zof: "Zof", slack: "Slack" };
const TIMES = [
  [1, "1 call"],
  [3, "3 calls"],
  [null, "Until cleared"],
];

export class FaultControls {
  /** The active faults, with a button that ends them; visible while there are any. */
  health = h("div", { class: "health", role: "status", data: { testid: "health" } });
  #channel = null; // the channel to archive or unarchive
  #times = { zof: null, slack: null }; // number of calls that the next fault affects
  #state = null;
  #post;
  #redraw;

  /** post(what, body) resolves to {ok, error}; redraw() causes update(). */
  constructor({ post, redraw }) {
    this.#post = post;
    this.#redraw = redraw;
  }

  /** Updates from a new state; the absence of faults is shown only in the open tab. */
  update(state, isOpen) {
    this.#state = state;
    const active = this.#activeFaults();
    const print = JSON.stringify([active, isOpen]);
    this.health.hidden = !active.length && !isOpen;
    if (print === this.health.dataset.print) return;
    this.health.dataset.print = print;
    this.health.classList.toggle("active", active.length > 0);
    this.health.replaceChildren(
      h("div", {}, active.length ? active.map((line) => h("div", {}, line)) : "No faults: Zof and Slack respond normally."),
      ...(active.length ? [this.#clearButton()] : []),
    );
  }

  /** One line per server with a fault: "Zof: Internal error (2 more calls)". */
  #activeFaults() {
    const { faults, fault_choices: choices } = this.#state;
    return Object.keys(NAMES)
      .filter((side) => faults[side] !== "none")
      .map((side) => {
        const label = choices[side].find(({ id }) => id === faults[side])?.label ?? faults[side];
        const left = faults[`${side}_left`];
        const lasting = left === null ? "until cleared" : `${left} more ${left === 1 ? "call" : "calls"}`;
        return `${NAMES[side]}: ${label} (${lasting})`;
      });
  }

  #clearButton() {
    const clear = h(
      "button",
      {
        type: "button",
        class: "button primary",
        data: { testid: "fault-clear" },
        onclick: () => whileBusy(clear, () => this.#post("faults", { zof: "none", slack: "none" })),
      },
      "Clear faults",
    );
    return clear;
  }

  /** The tab as one entry for reconcile(). */
  entry() {
    const { faults, fault_choices: choices } = this.#state;
    const channels = this.#channels().map(({ id, archived }) => [id, archived]);
    const print = JSON.stringify([faults, choices, this.#times, channels, this.#channel]);
    return { key: "faults", print, build: () => this.#page() };
  }

  #page() {
    return h(
      "div",
      { class: "faults" },
      h("p", { class: "faint" }, "Choose how Zof or Slack fails, then see how zofbot handles it."),
      this.#archive(),
      Object.keys(NAMES).map((side) => this.#side(side)),
    );
  }

  /** Channels that can be archived or unarchived. */
  #channels() {
    return this.#state.channels.filter((channel) => !channel.im);
  }

  #archive() {
    const channels = this.#channels();
    const chosen = channels.find(({ id }) => id === this.#channel) ?? channels[0];
    if (!chosen) return null;
    const select = h(
      "select",
      { "aria-label": "Channel", data: { testid: "archive-channel", field: "archive-channel" } },
      channels.map(({ id, name }) => h("option", { value: id, selected: id === chosen.id }, `# ${name}`)),
    );
    select.addEventListener("change", () => {
      this.#channel = select.value;
      this.#redraw();
    });
    const button = h(
      "button",
      {
        type: "button",
        class: "button",
        data: { testid: "archive", field: "archive" },
        onclick: () =>
          whileBusy(button, () => this.#post("archive", { channel: chosen.id, archived: !chosen.archived })),
      },
      chosen.archived ? "Unarchive" : "Archive",
    );
    return h("fieldset", {}, h("legend", {}, "Archive a channel"), h("div", { class: "where" }, select, button));
  }

  #side(side) {
    const { faults, fault_choices: choices } = this.#state;
    const choice = ({ id, label }) =>
      h(
        "label",
        { class: "tick" },
        h("input", {
          type: "radio",
          name: `fault-${side}`,
          value: id,
          checked: faults[side] === id,
          data: { testid: `fault-${side}-${id}`, field: `fault-${side}-${id}` },
          onchange: () => this.#setFault(side, id),
        }),
        h("span", {}, label),
      );
    return h("fieldset", {}, h("legend", {}, NAMES[side]), choices[side].map(choice), this.#duration(side));
  }

  #duration(side) {
    const option = ([times, label]) =>
      h(
        "label",
        {},
        h("input", {
          type: "radio",
          name: `times-${side}`,
          checked: this.#times[side] === times,
          data: { testid: `times-${side}-${times ?? "always"}`, field: `times-${side}-${times}` },
          onchange: () => this.#setDuration(side, times),
        }),
        h("span", {}, label),
      );
    return h(
      "div",
      { class: "times", role: "group", "aria-label": `For how many ${NAMES[side]} calls` },
      h("span", { class: "faint" }, "For"),
      h("span", { class: "segments" }, TIMES.map(option)),
    );
  }

  #setFault(side, id) {
    return this.#post("faults", { [side]: id, [`${side}_times`]: id === "none" ? null : this.#times[side] });
  }

  #setDuration(side, times) {
    this.#times[side] = times;
    const fault = this.#state.faults[side];
    if (fault !== "none") return this.#setFault(side, fault);
    return this.#redraw();
  }
}
