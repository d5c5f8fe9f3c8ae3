// Injects faults into Zof and Slack, shows and ends them; archives channels.
import { h, whileBusy } from "./dom.js";

const NAMES = { zof: "Zof", slack: "Slack" };
const TIMES = [
  [1, "1"],
  [3, "3"],
  [null, "always"],
];

export class Trouble {
  /** The active faults, with a button that ends them; visible while there are any. */
  health = h("div", { class: "health", role: "status", data: { testid: "health" } });
  #channel = null; // the channel to archive or unarchive
  #times = { zof: null, slack: null }; // number of calls that the next fault affects
  #state = null;
  #tell;
  #redraw;

  /** tell(what, body) resolves to {ok, error}; redraw() causes update(). */
  constructor({ tell, redraw }) {
    this.#tell = tell;
    this.#redraw = redraw;
  }

  /** Updates from a new state; the absence of faults is shown only in the open tab. */
  update(state, isOpen) {
    this.#state = state;
    const ill = this.#ills();
    const print = JSON.stringify([ill, isOpen]);
    this.health.hidden = !ill.length && !isOpen;
    if (print === this.health.dataset.print) return;
    this.health.dataset.print = print;
    this.health.classList.toggle("ill", ill.length > 0);
    this.health.replaceChildren(
      h("div", {}, ill.length ? ill.map((line) => h("div", {}, line)) : "All is well: Zof and Slack answer."),
      this.#healButton(),
    );
  }

  /** One line per server with a fault: "Zof: Internal error (2 more calls)". */
  #ills() {
    const { faults, fault_choices: choices } = this.#state;
    return Object.keys(NAMES)
      .filter((side) => faults[side] !== "none")
      .map((side) => {
        const label = choices[side].find(({ id }) => id === faults[side])?.label ?? faults[side];
        const left = faults[`${side}_left`];
        const lasting = left === null ? "until healed" : `${left} more ${left === 1 ? "call" : "calls"}`;
        return `${NAMES[side]}: ${label} (${lasting})`;
      });
  }

  #healButton() {
    const heal = h(
      "button",
      {
        type: "button",
        class: "button primary",
        data: { testid: "fault-heal" },
        onclick: () => whileBusy(heal, () => this.#tell("faults", { zof: "none", slack: "none" })),
      },
      "Heal",
    );
    return heal;
  }

  /** The tab as one entry for reconcile(). */
  entry() {
    const { faults, fault_choices: choices } = this.#state;
    const channels = this.#joinedChannels().map(({ id, archived }) => [id, archived]);
    const print = JSON.stringify([faults, choices, this.#times, channels, this.#channel]);
    return { key: "trouble", print, build: () => this.#page() };
  }

  #page() {
    return h(
      "div",
      { class: "trouble" },
      h("p", { class: "faint" }, "Make the outside world misbehave, then see what the bot says."),
      this.#archive(),
      Object.keys(NAMES).map((side) => this.#side(side)),
    );
  }

  /** Channels in which the bot is. */
  #joinedChannels() {
    return this.#state.channels.filter((channel) => !channel.im && channel.bot_is_member);
  }

  #archive() {
    const channels = this.#joinedChannels();
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
          whileBusy(button, () => this.#tell("archive", { channel: chosen.id, archived: !chosen.archived })),
      },
      chosen.archived ? "Unarchive" : "Archive",
    );
    return h("fieldset", {}, h("legend", {}, "A channel"), h("div", { class: "where" }, select, button));
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
          onchange: () => this.#afflict(side, id),
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
          data: { testid: `times-${side}-${label}`, field: `times-${side}-${label}` },
          onchange: () => this.#last(side, times),
        }),
        h("span", {}, label),
      );
    return h(
      "div",
      { class: "times", role: "group", "aria-label": `For how many ${NAMES[side]} calls` },
      h("span", { class: "faint" }, "For the next"),
      h("span", { class: "segments" }, TIMES.map(option)),
      h("span", { class: "faint" }, "calls"),
    );
  }

  #afflict(side, id) {
    return this.#tell("faults", { [side]: id, [`${side}_times`]: id === "none" ? null : this.#times[side] });
  }

  #last(side, times) {
    this.#times[side] = times;
    const fault = this.#state.faults[side];
    if (fault !== "none") return this.#afflict(side, fault);
    return this.#redraw();
  }
}
