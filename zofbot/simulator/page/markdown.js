// Renders `markdown` blocks: the common part of standard Markdown, which differs from Slack's mrkdwn.
// https://docs.slack.dev/reference/block-kit/blocks/markdown-block
import { h } from "./dom.js";
import { emojify } from "./emoji.js";
import { link } from "./mrkdwn.js";

/** Nodes for a Markdown text: fences, headings, lists, quotes, paragraphs. */
export function markdown(text) {
  const nodes = text.split(/^```\w*\n([\s\S]*?)^```$/m).flatMap((part, index) =>
    index % 2
      ? h("pre", {}, part.replace(/\n$/, ""))
      : part
          .split(/\n{2,}/)
          .filter((piece) => piece.trim())
          .map(paragraph),
  );
  return h("div", { class: "markdown" }, nodes);
}

function paragraph(piece) {
  const lines = piece.trim().split("\n");
  const heading = lines[0].match(/^(#{1,6}) (.*)/);
  if (heading)
    return [
      h(`h${Math.min(heading[1].length + 1, 6)}`, {}, inline(heading[2])),
      lines.length > 1 && paragraph(lines.slice(1).join("\n")),
    ];
  if (lines.every((line) => /^\s*[-*+] /.test(line))) return h("ul", {}, items(lines, /^\s*[-*+] /));
  if (lines.every((line) => /^\s*\d+\. /.test(line))) return h("ol", {}, items(lines, /^\s*\d+\. /));
  if (lines.every((line) => line.startsWith(">")))
    return h("blockquote", {}, inline(lines.map((line) => line.slice(1).trim()).join("\n")));
  if (/^(-{3,}|\*{3,})$/.test(lines[0]) && lines.length === 1) return h("hr");
  return h("p", {}, inline(piece.trim()));
}

const items = (lines, bullet) => lines.map((line) => h("li", {}, inline(line.replace(bullet, ""))));

const INLINE = /`([^`]+)`|\*\*(.+?)\*\*|~~(.+?)~~|\*([^*\s][^*]*)\*|\b_([^_]+)_\b|\[([^\]]+)\]\(([^)\s]+)\)/g;

function inline(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(INLINE)) {
    const [whole, code, bold, struck, star, under, label, url] = match;
    nodes.push(...emojify(text.slice(from, match.index)));
    from = match.index + whole.length;
    if (code) nodes.push(h("code", {}, code));
    else if (bold) nodes.push(h("strong", {}, inline(bold)));
    else if (struck) nodes.push(h("s", {}, inline(struck)));
    else if (label) nodes.push(link(url, inline(label)) ?? whole);
    else nodes.push(h("em", {}, inline(star ?? under)));
  }
  nodes.push(...emojify(text.slice(from)));
  return nodes;
}
