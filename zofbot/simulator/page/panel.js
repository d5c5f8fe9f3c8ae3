// "Behind the scenes": what the bot asked of Zof and Slack, how to make both misbehave, and the clock.
import { slackEntries, zofEntries } from "./calls.js";
import { wallTime } from "./dates.js";
import { h, icon, reconcile, whileBusy } from "./dom.js";
import { Trouble } from "./trouble.js";

const TABS = [
  ["zof", "Zof calls"],
  ["slack", "Slack calls"],
  ["trouble", "Trouble"],
  ["clock", "Clock"],
];
const STEPS = [
  [900, "15m", "+15 min"],
  [3600, "1h", "+1 hour"],
  [86400, "1d", "+1 day"],
];

export class Panel {
  #tell;
  #tab = "zof";
  #state = null;
  #scene = null;
  #tabs = new Map();
  #body = h("div", { class: "panel-body", role: "tabpanel", tabindex: "0", id: "panel-body" });
  #trouble;

  /** tell(what, body) resolves to {ok, error}; close() folds the panel away. */
  constructor({ tell, close }) {
    this.#tell = tell;
    this.#trouble = new Trouble({ tell, redraw: () => this.update(this.#state, this.#scene) });
    const bar = h(
      "div",
      { class: "tabs", role: "tablist", "aria-label": "Behind the scenes", onkeydown: (event) => this.#key(event) },
      TABS.map(([id, label]) => this.#tabButton(id, label)),
    );
    this.element = h(
      "aside",
      { class: "panel", "aria-label": "Behind the scenes" },
      h(
        "header",
        {},
        h("h2", {}, "Behind the scenes"),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": "Hide this panel",
            data: { testid: "panel-close" },
            onclick: close,
          },
          icon("close"),
        ),
      ),
      bar,
      this.#trouble.health,
      this.#body,
    );
  }

  #tabButton(id, label) {
    const tab = h(
      "button",
      {
        type: "button",
        role: "tab",
        "aria-controls": "panel-body",
        data: { testid: `panel-tab-${id}` },
        onclick: () => this.#open(id),
      },
      label,
    );
    this.#tabs.set(id, tab);
    return tab;
  }

  #key(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const ids = TABS.map(([id]) => id);
    this.#open(ids[(ids.indexOf(this.#tab) + step + ids.length) % ids.length]);
    this.#tabs.get(this.#tab).focus();
  }

  #open(id) {
    this.#tab = id;
    this.update(this.#state, this.#scene);
    this.#body.scrollTop = 0;
  }

  update(state, scene) {
    this.#state = state;
    this.#scene = scene;
    for (const [id, tab] of this.#tabs) {
      tab.setAttribute("aria-selected", String(id === this.#tab));
      tab.tabIndex = id === this.#tab ? 0 : -1;
    }
    this.#trouble.update(state, this.#tab === "trouble");
    reconcile(this.#body, [this.#page()]);
    const list = this.#body.querySelector("ul.calls");
    if (list) reconcile(list, this.#calls());
  }

  #calls() {
    return this.#tab === "zof"
      ? zofEntries(this.#state.zof_calls, this.#scene)
      : slackEntries(this.#state.slack_calls, this.#scene);
  }

  /** The open tab as one entry for reconcile(); the lists of calls are kept in step inside of it. */
  #page() {
    const { you, now } = this.#scene;
    if (this.#tab === "trouble") return this.#trouble.entry();
    if (this.#tab === "clock")
      return { key: "clock", print: `${you.id} ${Math.floor(now / 60)}`, build: () => this.#clock() };
    const calls = this.#tab === "zof" ? this.#state.zof_calls : this.#state.slack_calls;
    if (!calls.length) return { key: `${this.#tab} none`, print: "", build: () => this.#noCalls() };
    return {
      key: `${this.#tab} ${this.#scene.you.id}`,
      print: "",
      build: () => h("ul", { class: "calls", "aria-label": TABS.find(([id]) => id === this.#tab)[1] }),
    };
  }

  #noCalls() {
    const hint =
      this.#tab === "zof"
        ? ["Nothing asked of Zof yet: type ", h("code", {}, "/zof result res_…"), " and watch."]
        : ["The bot has not called Slack yet."];
    return h("div", { class: "empty" }, h("p", {}, hint));
  }

  #clock() {
    const { you, now } = this.#scene;
    const step = ([seconds, name, label]) => {
      const button = h(
        "button",
        {
          type: "button",
          class: "button",
          data: { testid: `clock-${name}`, field: `clock-${name}` },
          onclick: () => whileBusy(button, () => this.#tell("clock", { advance: seconds })),
        },
        label,
      );
      return button;
    };
    return h(
      "div",
      { class: "clock" },
      h(
        "p",
        { class: "faint" },
        "The pretend world has its own time. Move it on to see reminders, escalations and retries come due.",
      ),
      h("p", { class: "big" }, wallTime(now, you.tz)),
      h("p", { class: "faint" }, you.tz),
      h("div", { class: "row" }, STEPS.map(step)),
    );
  }
}
