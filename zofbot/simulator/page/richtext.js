// Renders rich_text blocks: text that was never parsed, element by element.
// https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
import { h } from "./dom.js";
import { emojify, emojiText } from "./emoji.js";
import { channel, everyone, group, link, moment, person } from "./mrkdwn.js";

/** The whole block. */
export const richText = (block, reader) =>
  h(
    "div",
    { class: "rich-text" },
    (block.elements ?? []).map((part) => paragraph(part, reader)),
  );

const PARAGRAPHS = {
  rich_text_section: (part, reader) => h("div", {}, leaves(part, reader)),
  rich_text_quote: (part, reader) => h("blockquote", {}, leaves(part, reader)),
  // Shortcodes are not replaced: a log line with :x: is shown as it is.
  rich_text_preformatted: (part) =>
    h(
      "pre",
      {},
      (part.elements ?? []).map((leaf) => leaf.text ?? leaf.url ?? ""),
    ),
  rich_text_list: list,
};

function paragraph(part, reader) {
  const render = Object.hasOwn(PARAGRAPHS, part.type) ? PARAGRAPHS[part.type] : null;
  return render ? render(part, reader) : unknown(part);
}

function list(part, reader) {
  const ordered = part.style === "ordered";
  const items = (part.elements ?? []).map((item) => h("li", {}, leaves(item, reader)));
  const props = {
    class: `indent-${Math.min(part.indent ?? 0, 8)}`,
    start: ordered && part.offset ? part.offset + 1 : null,
  };
  return h(ordered ? "ol" : "ul", props, items);
}

const leaves = (part, reader) => (part.elements ?? []).map((leaf) => styled(leaf, reader));

const LEAVES = {
  text: (leaf) => emojify(String(leaf.text ?? "")),
  link: (leaf) => link(leaf.url, leaf.text || leaf.url) ?? (leaf.text || leaf.url),
  user: (leaf, reader) => person(leaf.user_id, reader),
  usergroup: (leaf, reader) => group(leaf.usergroup_id, reader),
  channel: (leaf, reader) => channel(leaf.channel_id, reader),
  emoji: (leaf) => emojify(`:${leaf.name}:`),
  date: (leaf, reader) => moment(leaf.timestamp, leaf.format, reader, leaf.fallback, leaf.url),
  broadcast: (leaf) => everyone(leaf.range),
  color: (leaf) => [h("span", { class: "swatch", style: { background: leaf.value } }), leaf.value],
};

const STYLES = { bold: "strong", italic: "em", strike: "s", underline: "u", code: "code" };

function styled(leaf, reader) {
  let content = Object.hasOwn(LEAVES, leaf.type) ? LEAVES[leaf.type](leaf, reader) : unknown(leaf);
  for (const [style, tag] of Object.entries(STYLES)) if (leaf.style?.[style]) content = h(tag, {}, content);
  return content;
}

const unknown = (part) => h("span", { class: "unknown" }, emojiText(`${part.type ?? "nothing"} (not supported by the demo)`));
