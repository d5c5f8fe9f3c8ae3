// The panel "Demo controls": runs, faults, the clock, and the bot's calls to Zof and Slack.
import { slackEntries, zofEntries } from "./calls.js";
import { clockEntry } from "./clock.js";
import { h, icon, reconcile } from "./dom.js";
import { RunControls } from "./runs.js";
import { FaultControls } from "./faults.js";

const TITLE = "Demo controls";

const TABS = [
  ["runs", "Runs"],
  ["faults", "Faults"],
  ["clock", "Clock"],
  ["zof", "Zof calls"],
  ["slack", "Slack calls"],
];

export class Panel {
  #post;
  #tab = "runs";
  #state = null;
  #reader = null;
  #tabs = new Map();
  #body = h("div", { class: "panel-body", role: "tabpanel", tabindex: "0", id: "panel-body" });
  #runs;
  #faults;
  #time;

  /** post(what, body) resolves to {ok, error}; close() closes the panel; time() returns the simulated time. */
  constructor({ post, close, time }) {
    const redraw = () => this.update(this.#state, this.#reader);
    this.#post = post;
    this.#time = time;
    this.#runs = new RunControls({ post, redraw });
    this.#faults = new FaultControls({ post, redraw });
    const bar = h(
      "div",
      { class: "tabs", role: "tablist", "aria-label": TITLE, onkeydown: (event) => this.#key(event) },
      TABS.map(([id, label]) => this.#tabButton(id, label)),
    );
    this.element = h(
      "aside",
      { class: "panel", "aria-label": TITLE },
      h(
        "header",
        {},
        h("h2", {}, TITLE),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": "Close demo controls",
            data: { testid: "panel-close" },
            onclick: close,
          },
          icon("close"),
        ),
      ),
      bar,
      this.#faults.health,
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
    this.update(this.#state, this.#reader);
    this.#body.scrollTop = 0;
  }

  update(state, reader) {
    this.#state = state;
    this.#reader = reader;
    for (const [id, tab] of this.#tabs) {
      tab.setAttribute("aria-selected", String(id === this.#tab));
      tab.tabIndex = id === this.#tab ? 0 : -1;
    }
    this.#runs.update(state);
    this.#faults.update(state, this.#tab === "faults");
    reconcile(this.#body, [this.#page()]);
    const list = this.#body.querySelector("ul.calls");
    if (list) reconcile(list, this.#calls());
  }

  #calls() {
    return this.#tab === "zof"
      ? zofEntries(this.#state.zof_calls, this.#reader)
      : slackEntries(this.#state.slack_calls, this.#reader);
  }

  /** The open tab as one entry for reconcile(); the lists of calls are updated inside it. */
  #page() {
    if (this.#tab === "runs") return this.#runs.entry();
    if (this.#tab === "faults") return this.#faults.entry();
    if (this.#tab === "clock") return clockEntry(this.#reader, this.#post, this.#time);
    const calls = this.#tab === "zof" ? this.#state.zof_calls : this.#state.slack_calls;
    if (!calls.length) return { key: `${this.#tab} none`, print: "", build: () => this.#noCalls() };
    return {
      key: `${this.#tab} ${this.#reader.you.id}`,
      print: "",
      build: () => h("ul", { class: "calls", "aria-label": TABS.find(([id]) => id === this.#tab)[1] }),
    };
  }

  #noCalls() {
    const hint =
      this.#tab === "zof"
        ? ["No calls to Zof yet. Type ", h("code", {}, "/zof result res_4821"), " to make one."]
        : ["No calls to Slack yet. Type ", h("code", {}, "/zof help"), " to make one."];
    return h("div", { class: "empty" }, h("p", {}, hint));
  }
}
