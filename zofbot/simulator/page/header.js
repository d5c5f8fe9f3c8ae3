// The header of the conversation: a channel with its topic, or the app with its two tabs.
import { h } from "./dom.js";
import { emojify } from "./emoji.js";
import { avatar } from "./avatar.js";
import { channelIcon } from "./sidebar.js";

/** Updates `bar` if something changed; `bot` is {name, channel}, visit(place) opens a tab. */
export function renderHeader(bar, { channel, place, bot, visit }) {
  const isApp = place === "home" || place === bot.channel?.id;
  const print = JSON.stringify([channel, place, bot]);
  if (bar.dataset.print === print) return;
  bar.dataset.print = print;
  bar.replaceChildren(...(isApp ? appHeader(place, bot, visit) : channelHeader(channel)));
}

function channelHeader(channel) {
  const parts = [
    h("h1", {}, !channel.im && channelIcon(channel), channel.name),
    channel.external && h("span", { class: "badge", title: "Shared with another organization" }, "SHARED"),
    h("span", { class: "topic", title: channel.topic }, emojify(channel.topic ?? "")),
    !channel.im && membership(channel.bot_is_member),
  ];
  return parts.filter(Boolean);
}

function membership(isMember) {
  const words = isMember ? "zofbot is in this channel" : "zofbot is not in this channel";
  return h(
    "span",
    { class: `membership${isMember ? " here" : ""}`, title: words, data: { testid: "membership" } },
    avatar({ name: "zofbot", isBot: true }, "mini"),
    words,
  );
}

function appHeader(place, { name, channel }, visit) {
  const tab = (id, label, to) =>
    h(
      "button",
      {
        type: "button",
        class: "tab",
        disabled: !to,
        "aria-current": place === to ? "page" : null,
        data: { testid: `tab-${id}` },
        onclick: () => visit(to),
      },
      label,
    );
  return [
    h("h1", {}, avatar({ name, isBot: true }, "small"), name, h("span", { class: "badge" }, "APP")),
    h("div", { class: "app-tabs" }, tab("home", "Home", "home"), tab("messages", "Messages", channel?.id)),
  ];
}
