// Renders rich_text blocks: text that was never parsed, element by element.
// https://docs.slack.dev/reference/block-kit/blocks/rich-text-block
import { h } from "./dom.js";
import { emojify, emojiText } from "./emoji.js";
import { channel, everyone, group, link, moment, person } from "./mrkdwn.js";

/** The whole block. */
export const richText = (block, scene) =>
  h(
    "div",
    { class: "rich-text" },
    (block.elements ?? []).map((part) => paragraph(part, scene)),
  );

const PARAGRAPHS = {
  rich_text_section: (part, scene) => h("div", {}, leaves(part, scene)),
  rich_text_quote: (part, scene) => h("blockquote", {}, leaves(part, scene)),
  // Shortcodes are not replaced: a log line with :x: is shown as it is.
  rich_text_preformatted: (part) =>
    h(
      "pre",
      {},
      (part.elements ?? []).map((leaf) => leaf.text ?? leaf.url ?? ""),
    ),
  rich_text_list: list,
};

function paragraph(part, scene) {
  const render = Object.hasOwn(PARAGRAPHS, part.type) ? PARAGRAPHS[part.type] : null;
  return render ? render(part, scene) : unknown(part);
}

function list(part, scene) {
  const ordered = part.style === "ordered";
  const items = (part.elements ?? []).map((item) => h("li", {}, leaves(item, scene)));
  const props = {
    class: `indent-${Math.min(part.indent ?? 0, 8)}`,
    start: ordered && part.offset ? part.offset + 1 : null,
  };
  return h(ordered ? "ol" : "ul", props, items);
}

const leaves = (part, scene) => (part.elements ?? []).map((leaf) => styled(leaf, scene));

const LEAVES = {
  text: (leaf) => emojify(String(leaf.text ?? "")),
  link: (leaf) => link(leaf.url, leaf.text || leaf.url) ?? (leaf.text || leaf.url),
  user: (leaf, scene) => person(leaf.user_id, scene),
  usergroup: (leaf, scene) => group(leaf.usergroup_id, scene),
  channel: (leaf, scene) => channel(leaf.channel_id, scene),
  emoji: (leaf) => emojify(`:${leaf.name}:`),
  date: (leaf, scene) => moment(leaf.timestamp, leaf.format, scene, leaf.fallback, leaf.url),
  broadcast: (leaf) => everyone(leaf.range),
  color: (leaf) => [h("span", { class: "swatch", style: { background: leaf.value } }), leaf.value],
};

const STYLES = { bold: "strong", italic: "em", strike: "s", underline: "u", code: "code" };

function styled(leaf, scene) {
  let content = Object.hasOwn(LEAVES, leaf.type) ? LEAVES[leaf.type](leaf, scene) : unknown(leaf);
  for (const [style, tag] of Object.entries(STYLES)) if (leaf.style?.[style]) content = h(tag, {}, content);
  return content;
}

const unknown = (part) => h("span", { class: "unknown" }, emojiText(`${part.type ?? "nothing"} (not drawn here)`));
