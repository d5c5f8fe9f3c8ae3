// The sidebar: the workspace, its channels, the app, and the current user.
import { wallTime } from "./dates.js";
import { h, icon, reconcile } from "./dom.js";
import { avatar } from "./avatar.js";

const KINDS = { admin: "Workspace admin", member: "Member", guest: "Guest", external: "External" };

/** The symbol before a channel's name: # for public, a lock for private. */
export const channelIcon = (channel) => icon(channel.archived ? "archive" : channel.private ? "lock" : "hash");

export class Sidebar {
  #team = h("strong", { class: "team" });
  #channels = h("ul", { "aria-label": "Channels" });
  #directs = h("ul", { "aria-label": "Direct messages" });
  #apps = h("ul", { "aria-label": "Apps" });
  #directHeading = h("h2", {}, "Direct messages");
  #face = h("span", { class: "face" });
  #who = h("select", { "aria-label": "You are", data: { testid: "user-switch" } });
  #kind = h("small", {});
  #clock = h("span", { data: { testid: "clock" } });

  /** visit(place) opens a channel; switchUser(user) switches the user; close() closes the drawer. */
  constructor({ visit, switchUser, close }) {
    this.visit = visit;
    this.#who.addEventListener("change", () => switchUser(this.#who.value));
    const closeProps = { type: "button", class: "icon-button narrow-only", "aria-label": "Close", onclick: close };
    const closeButton = h("button", closeProps, icon("close"));
    this.element = h(
      "nav",
      { class: "sidebar", "aria-label": "Channels and apps" },
      h("header", {}, this.#team, h("span", { class: "demo-mark" }, "demo"), closeButton),
      h(
        "div",
        { class: "places" },
        h("h2", {}, "Channels"),
        this.#channels,
        this.#directHeading,
        this.#directs,
        h("h2", {}, "Apps"),
        this.#apps,
      ),
      h(
        "footer",
        {},
        h("label", { class: "who" }, this.#face, h("span", {}, this.#who, this.#kind)),
        h("div", { class: "now", title: "Time in the demo" }, icon("clock"), this.#clock),
      ),
    );
  }

  update({ state, reader, place, bot, unread }) {
    this.#team.textContent = state.team;
    const entry = (channel, current) => ({
      key: channel.id,
      print: JSON.stringify([channel, current, unread(channel.id)]),
      build: () => this.#line(channel, current, unread(channel.id)),
    });
    const directs = state.channels.filter((channel) => channel.im && channel.id !== bot.channel?.id);
    reconcile(
      this.#channels,
      state.channels.filter((channel) => !channel.im).map((channel) => entry(channel, channel.id === place)),
    );
    reconcile(
      this.#directs,
      directs.map((channel) => entry(channel, channel.id === place)),
    );
    this.#directHeading.hidden = this.#directs.hidden = directs.length === 0;
    const app = { id: bot.channel?.id ?? "home", name: bot.name, im: true, app: true };
    reconcile(this.#apps, [entry(app, place === "home" || place === app.id)]);
    this.#drawWho(state, reader);
  }

  #line(channel, current, unread) {
    const mark = channel.im ? avatar({ name: channel.name, isBot: channel.app }, "mini") : channelIcon(channel);
    const marks = [
      channel.external && ["globe", "Shared with another organization"],
      channel.archived && [null, "Archived"],
    ].filter(Boolean);
    return h(
      "li",
      {},
      h(
        "button",
        {
          type: "button",
          class: `place${unread ? " unread" : ""}${channel.archived ? " archived" : ""}`,
          "aria-current": current ? "page" : null,
          title: channel.private ? "Private channel" : channel.external ? "Shared with another organization" : null,
          data: { testid: `channel-${channel.name}`, field: "place" },
          onclick: () => this.visit(channel.app ? "app" : channel.id),
        },
        mark,
        h("span", { class: "name" }, channel.name),
        marks.map(([sign, words]) => h("span", { class: "mark", title: words }, sign ? icon(sign) : words)),
        unread && h("span", { class: "dot", role: "img", "aria-label": "Unread" }),
      ),
    );
  }

  #drawWho(state, { you, now }) {
    const people = state.users.filter((user) => user.kind !== "bot");
    const option = (user) => ({
      key: user.id,
      print: user.real_name,
      build: () => h("option", { value: user.id }, user.real_name),
    });
    reconcile(this.#who, people.map(option));
    this.#who.value = you.id;
    if (this.#face.dataset.user !== you.id)
      this.#face.replaceChildren(avatar({ name: you.real_name, color: you.color }));
    this.#face.dataset.user = you.id;
    this.#kind.textContent = `${KINDS[you.kind] ?? you.kind} · ${you.tz.split("/").at(-1).replaceAll("_", " ")}`;
    this.#clock.textContent = wallTime(now, you.tz);
  }
}
