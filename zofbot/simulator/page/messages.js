// Draws messages, in a channel and in a thread.
import { Answers } from "./answers.js";
import { avatar } from "./avatar.js";
import { renderAttachment, renderBlocks } from "./blocks.js";
import { clockTime, dayAndTime, dayName, fullTime } from "./dates.js";
import { h, icon } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";

const COMPACT_WITHIN = 300; // seconds within which a person's next message has no avatar
const TALL = 9000; // characters of JSON above which a message is collapsed

/** The messages shown in a channel: all but replies that were not also sent to it. */
export const inChannel = (messages) =>
  messages.filter((each) => (!isReply(each) || each.broadcast) && (!each.deleted || repliesTo(each, messages).length));

/** The messages shown in a thread: its root and its replies. */
export const inThread = (messages, root) =>
  messages.filter((each) => each.ts === root || (each.thread_ts === root && !each.deleted));

const isReply = (message) => message.thread_ts && message.thread_ts !== message.ts;

const repliesTo = (root, messages) =>
  messages.filter((each) => isReply(each) && each.thread_ts === root.ts && !each.deleted);

/**
 * Entries for reconcile(): day dividers and messages.
 * A `host` has { reader, key, thread: ts|null, openThread(ts), act(message, action, node) }.
 */
export function messageEntries(messages, all, host) {
  const { you, now } = host.reader;
  const entries = [];
  let day = null;
  let last = null;
  for (const message of messages) {
    const name = dayName(Number(message.ts), you.tz, now);
    if (name !== day) {
      entries.push({
        key: `day ${name}`,
        print: name,
        build: () => h("div", { class: "day", role: "separator" }, h("span", {}, name)),
      });
      last = null;
    }
    day = name;
    entries.push(messageEntry(message, follows(last, message), host.thread ? [] : repliesTo(message, all), host));
    last = message;
    if (message.ts === host.thread && messages.length > 1) entries.push(replyCount(messages.length - 1));
  }
  return entries;
}

/** The line between a thread's root and its replies. */
function replyCount(count) {
  const words = count === 1 ? "1 reply" : `${count} replies`;
  return { key: "count", print: words, build: () => h("div", { class: "count", role: "separator" }, words) };
}

const follows = (last, next) =>
  last !== null &&
  last.user === next.user &&
  last.username === next.username &&
  !last.ephemeral &&
  !next.ephemeral &&
  !isReply(next) &&
  !isReply(last) &&
  next.ts - last.ts < COMPACT_WITHIN;

function messageEntry(message, compact, replies, host) {
  const json = JSON.stringify(message);
  // Messages with relative dates must be redrawn as time passes.
  const age = json.includes("{ago}")
    ? Math.floor(host.reader.now / 60)
    : json.includes("_pretty}")
      ? Math.floor(host.reader.now / 3600)
      : 0;
  const summary = replies.map((each) => [each.ts, each.user]);
  const print = JSON.stringify([json, compact, summary, age, host.reader.you.id]);
  return {
    key: `${message.ephemeral ? "eph " : ""}${message.ts}`,
    print,
    build: () => renderMessage(message, compact, replies, host),
  };
}

function renderMessage(message, compact, replies, host) {
  const { reader } = host;
  const author = authorOf(message, reader);
  const at = Number(message.ts);
  const time = h("time", { class: "stamp", title: fullTime(at, reader.you.tz) }, clockTime(at, reader.you.tz));
  return h(
    "article",
    {
      class: `message${compact ? " compact" : ""}${message.ephemeral ? " ephemeral" : ""}`,
      "aria-label": `${author.name}, ${clockTime(at, reader.you.tz)}`,
      data: {
        testid: "message",
        ts: message.ts,
        ephemeral: String(Boolean(message.ephemeral)),
        user: message.user ?? "",
      },
    },
    message.ephemeral && h("div", { class: "only-you" }, icon("eye"), "Only visible to you"),
    isReply(message) &&
      !host.thread &&
      h(
        "div",
        { class: "only-you" },
        icon("reply"),
        "Replied to a ",
        h("button", { class: "plain", type: "button", onclick: () => host.openThread(message.thread_ts) }, "thread"),
      ),
    h("div", { class: "gutter" }, compact ? time : avatar(author)),
    h(
      "div",
      { class: "body" },
      !compact &&
        h(
          "div",
          { class: "by" },
          h("strong", {}, author.name),
          author.badge && h("span", { class: "badge" }, author.badge),
          time,
        ),
      message.deleted
        ? h("div", { class: "faint" }, "This message was deleted.")
        : h("div", { class: "content" }, content(message, host)),
      replies.length > 0 && threadSummary(message, replies, host),
    ),
    !host.thread &&
      !message.ephemeral &&
      h(
        "div",
        { class: "toolbar" },
        host.shortcuts.map(({ name, callback_id }) => {
          const choose = () => host.shortcut(message, callback_id, button);
          const props = { type: "button", class: "shortcut", data: { testid: `shortcut-${callback_id}` }, onclick: choose };
          const button = h("button", props, name);
          return button;
        }),
        h(
          "button",
          {
            type: "button",
            class: "icon-button",
            "aria-label": "Reply in thread",
            title: "Reply in thread",
            data: { testid: "reply-in-thread", field: "reply" },
            onclick: () => host.openThread(message.thread_ts ?? message.ts),
          },
          icon("reply"),
        ),
      ),
  );
}

function content(message, host) {
  const answers = answersOf(`${host.key}/${message.ts}`);
  const blockHost = {
    reader: host.reader,
    answers,
    surface: "message",
    act: (action, node) => host.act(message, action, node),
  };
  const blocks = message.blocks?.length ? renderBlocks(message.blocks, blockHost) : null;
  const text = !blocks && message.text && h("div", { class: "text" }, mrkdwn(message.text, host.reader));
  const drawn = [
    blocks ?? text,
    message.edited && h("span", { class: "edited" }, "(edited)"),
    (message.attachments ?? []).map((attachment) => renderAttachment(attachment, blockHost)),
  ];
  return JSON.stringify(message).length > TALL ? folded(drawn) : drawn;
}

function folded(drawn) {
  const box = h("div", { class: "folded" }, drawn);
  const more = h(
    "button",
    {
      type: "button",
      class: "plain",
      onclick: () => {
        box.classList.remove("folded");
        more.remove();
      },
    },
    "Show more",
  );
  return [box, more];
}

const kept = new Map(); // where -> Answers: keeps choices when a message is redrawn

function answersOf(key) {
  if (!kept.has(key)) kept.set(key, new Answers());
  return kept.get(key);
}

function threadSummary(root, replies, { reader, openThread }) {
  const authors = [...new Map(replies.map((each) => [each.user, authorOf(each, reader)])).values()].slice(0, 4);
  const last = Number(replies.at(-1).ts);
  return h(
    "button",
    {
      type: "button",
      class: "thread-summary",
      data: { testid: "thread-summary", field: "thread" },
      onclick: () => openThread(root.ts),
    },
    authors.map((author) => avatar(author, "mini")),
    h("b", {}, replies.length === 1 ? "1 reply" : `${replies.length} replies`),
    h("span", { class: "faint" }, `Last reply ${dayAndTime(last, reader.you.tz, reader.now)}`),
  );
}

/** The author of a message, also if the state does not contain that user. */
function authorOf(message, reader) {
  const user = reader.users.get(message.user);
  const isBot = message.bot || user?.kind === "bot";
  const name = (isBot && message.username) || user?.real_name || message.username || message.user || "Someone";
  const badge = isBot ? "APP" : { guest: "GUEST", external: "EXTERNAL" }[user?.kind];
  return { name, badge, isBot, color: user?.color };
}
