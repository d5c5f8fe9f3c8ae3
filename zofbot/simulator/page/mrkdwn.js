// Renders Slack's mrkdwn and plain_text as DOM nodes.
// https://docs.slack.dev/messaging/formatting-message-text/
//
// A `reader` is the reader's context: { you, users, groups, channels, now, visit }, the first four from the world's state.
import { fillTokens, fullTime } from "./dates.js";
import { h, icon } from "./dom.js";
import { emojify, emojiText } from "./emoji.js";

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">" };

/** Decodes Slack's three entities in one pass, so that "&amp;lt;" becomes "&lt;" and not "<". */
export const decode = (text) => text.replace(/&(amp|lt|gt);/g, (entity) => ENTITIES[entity]);

/** Nodes for a text object, {type: "mrkdwn"|"plain_text", text}. */
export function textObject(object, reader) {
  if (!object) return [];
  const text = String(object.text ?? "");
  return object.type === "mrkdwn" ? mrkdwn(text, reader, object.verbatim) : emojify(decode(text));
}

/** A plain_text object as a string, for options and placeholders. */
export const plain = (object) => emojiText(decode(String(object?.text ?? "")));

/**
 * Nodes for a mrkdwn string: code blocks first, then quotes, then inline markup. In `verbatim` text, addresses are not
 * linked (https://docs.slack.dev/reference/block-kit/composition-objects/text-object).
 */
export function mrkdwn(text, reader, verbatim = false) {
  const nodes = [];
  for (const [index, part] of text.split(/```([\s\S]+?)```/).entries()) {
    if (index % 2) nodes.push(h("pre", {}, code(part.replace(/^\n|\n$/g, ""), reader)));
    // The line break beside a code fence belongs to the fence.
    else nodes.push(...quotes(index ? part.replace(/^\n/, "") : part, reader, verbatim));
  }
  return nodes;
}

const QUOTED = /^(?:&gt;|>) ?/;

function quotes(text, reader, verbatim) {
  const nodes = [];
  let quote = [];
  let lines = [];
  const flush = () => {
    if (lines.length) nodes.push(...inline(lines.join("\n"), reader, verbatim));
    if (quote.length) nodes.push(h("blockquote", {}, inline(quote.join("\n"), reader, verbatim)));
    lines = [];
    quote = [];
  };
  for (const line of text.split("\n")) {
    const quoted = QUOTED.test(line);
    if (quoted ? lines.length : quote.length) flush();
    if (quoted) quote.push(line.replace(QUOTED, ""));
    else lines.push(line);
  }
  flush();
  return nodes;
}

// A mark opens after and closes before a character that is not a letter or digit, so snake_case_names stay whole.
const pair = (mark) =>
  `(?<![\\p{L}\\p{N}${mark}])${mark}(?=\\S)([^${mark}\\n]*[^\\s${mark}])${mark}(?![\\p{L}\\p{N}${mark}])`;
const INLINE = new RegExp(
  [
    "<([^<>\\n]+)>",
    "`([^`\\n]+)`",
    pair("\\*"),
    pair("_"),
    pair("~"),
    "(https?://[^\\s<>|]*[^\\s<>|.,;:!?)'\"*_~])",
  ].join("|"),
  "gu",
);
const MARKS = ["strong", "em", "s"];

/** Nodes for inline markup; also used inside bold, italic and struck text. */
function inline(text, reader, verbatim) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, angle, tick, bold, italic, struck, url] = match;
    nodes.push(...emojify(decode(text.slice(from, match.index))));
    from = match.index + whole.length;
    if (angle) nodes.push(reference(angle, reader));
    else if (tick) nodes.push(h("code", {}, code(tick, reader)));
    else if (url) nodes.push(verbatim ? decode(url) : link(decode(url), decode(url)));
    else {
      const inner = [bold, italic, struck];
      const which = inner.findIndex((content) => content !== undefined);
      nodes.push(h(MARKS[which], {}, inline(inner[which], reader, verbatim)));
    }
  }
  nodes.push(...emojify(decode(text.slice(from))));
  return nodes;
}

/** Code without marks and emoji; Slack resolves links and mentions even there. */
function code(text, reader) {
  return text.split(/<([^<>\n]+)>/).map((part, index) => (index % 2 ? reference(part, reader) : decode(part)));
}

/** Renders <...>: a person, a channel, a group, everyone, a date, or a link. */
function reference(inside, reader) {
  const bar = inside.indexOf("|");
  const [target, label] = bar < 0 ? [inside, ""] : [inside.slice(0, bar), decode(inside.slice(bar + 1))];
  if (target.startsWith("@")) return person(target.slice(1), reader, label);
  if (target.startsWith("#")) return channel(target.slice(1), reader, label);
  if (target.startsWith("!subteam^")) return group(target.slice(9), reader, label);
  if (target.startsWith("!date^")) return date(target, label, reader);
  if (/^!(channel|here|everyone)$/.test(target)) return everyone(target.slice(1));
  if (target.startsWith("!")) return document.createTextNode(label || `<${target}>`);
  return link(decode(target), label || decode(target)) ?? document.createTextNode(decode(`<${inside}>`));
}

/** A mention of a person, yellow when it is you. */
export function person(id, reader, label = "") {
  const name = reader.users.get(id)?.real_name || label || id;
  return h(
    "span",
    { class: id === reader.you.id ? "mention mention-you" : "mention", title: id },
    `@${name.replace(/^@/, "")}`,
  );
}

/** A link to a channel, or a placeholder for one that the reader may not see. */
export function channel(id, reader, label = "") {
  const known = reader.channels.get(id);
  if (known) return h("button", { class: "mention", type: "button", onclick: () => reader.visit(id) }, `#${known.name}`);
  return h(
    "span",
    { class: "mention", title: id },
    label ? `#${label.replace(/^#/, "")}` : [icon("lock"), " private channel"],
  );
}

/** A user group; highlighted, because a real one would notify its members. */
export const group = (id, reader, label = "") =>
  h(
    "span",
    { class: "mention mention-loud", title: id },
    `@${(reader.groups.get(id)?.handle || label || id).replace(/^@/, "")}`,
  );

/** @channel, @here, @everyone: highlighted too, so that an injected one is noticed. */
export const everyone = (range) => h("span", { class: "mention mention-loud" }, `@${range}`);

function date(target, fallback, reader) {
  const [, unix, pattern = "", url] = target.split("^");
  return moment(Number(unix), decode(pattern), reader, fallback, url && decode(url));
}

/** A date in the reader's time zone; the full date is the tooltip. */
export function moment(unix, pattern, reader, fallback = "", url = null) {
  const text = fillTokens(unix, pattern, reader.you.tz, reader.now);
  if (text === null) return document.createTextNode(fallback);
  const time = h("time", { title: fullTime(unix, reader.you.tz), datetime: new Date(unix * 1000).toISOString() }, text);
  return (url && link(url, time)) || time;
}

/** An external link; null for anything but web and mail, so that javascript: is never clickable. */
export function link(url, content) {
  const safe = safeUrl(url);
  return safe && h("a", { href: safe, target: "_blank", rel: "noopener noreferrer", title: safe }, content);
}

/** The URL if it is http, https or mailto, else null. */
export function safeUrl(url) {
  try {
    const parsed = new URL(url);
    return ["http:", "https:", "mailto:"].includes(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}
