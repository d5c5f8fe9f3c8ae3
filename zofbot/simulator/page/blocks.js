// Renders Block Kit: every type of block that the bot sends, and a grey box for others.
// https://docs.slack.dev/reference/block-kit/blocks
//
// A `host` is the blocks' context: { reader, answers, surface, errors, act(action, node) }.
import { chart } from "./chart.js";
import { control } from "./controls.js";
import { h, icon } from "./dom.js";
import { markdown } from "./markdown.js";
import { decode, mrkdwn, plain, textObject } from "./mrkdwn.js";
import { richText } from "./richtext.js";
import { dataTable, table } from "./tables.js";

/** Blocks with ids; missing ones are generated, as Slack does. */
export const withIds = (blocks) =>
  blocks.map((block, index) => ({ ...block, block_id: block.block_id ?? `block ${index}` }));

/** One entry per block for reconcile(): in a modal or on Home only changed blocks are redrawn. */
export function blockEntries(blocks, host) {
  return blocks.map((block, index) => {
    const key = block.block_id ?? `block ${index}`;
    return {
      key,
      print: JSON.stringify([block, host.errors?.[key]]),
      build: () => renderBlock({ ...block, block_id: key }, host),
    };
  });
}

/** All blocks of a message, which is redrawn as a whole. */
export const renderBlocks = (blocks, host) => blockEntries(blocks, host).map(({ build }) => build());

function renderBlock(block, host) {
  const draw = Object.hasOwn(BLOCKS, block.type) ? BLOCKS[block.type] : unknown;
  let content;
  try {
    content = draw(block, host);
  } catch (error) {
    // A malformed block must not break the page; its JSON is shown instead.
    console.warn("could not draw a block", block, error);
    content = unknown(block);
  }
  return h(
    "div",
    { class: `block block-${draw === unknown ? "unknown" : block.type}`, data: { blockId: block.block_id } },
    content,
  );
}

const unknown = (block) =>
  h(
    "details",
    { class: "unknown" },
    h("summary", {}, `${block.type ?? "A block without a type"} (not supported by the demo)`),
    h("pre", {}, JSON.stringify(block, null, 2)),
  );

const place = (block, host, more = {}) => ({ ...host, blockId: block.block_id, live: true, ...more });

function section(block, host) {
  const { accessory } = block;
  return [
    h(
      "div",
      { class: "section-text" },
      block.text && h("div", { class: "text" }, textObject(block.text, host.reader)),
      block.fields &&
        h(
          "div",
          { class: "fields" },
          block.fields.map((field) => h("div", { class: "text" }, textObject(field, host.reader))),
        ),
    ),
    accessory &&
      h(
        "div",
        { class: "accessory" },
        accessory.type === "image" ? picture(accessory, "thumb") : control(accessory, place(block, host)),
      ),
  ];
}

const context = (block, host) =>
  (block.elements ?? []).map((element) =>
    element.type === "image" ? picture(element, "tiny") : h("span", { class: "text" }, textObject(element, host.reader)),
  );

const actions = (block, host) => (block.elements ?? []).map((element) => control(element, place(block, host)));

function image(block, host) {
  return h(
    "figure",
    {},
    block.title && h("figcaption", {}, textObject(block.title, host.reader)),
    picture(block, "large"),
  );
}

/** An image; only those from this machine are loaded, for others the alternative text is shown. */
function picture(element, size) {
  const url = new URL(element.image_url ?? "about:blank", location.href);
  const alt = element.alt_text ?? "";
  if (url.origin === location.origin || url.protocol === "data:")
    return h("img", { class: size, src: url.href, alt, loading: "lazy" });
  return h(
    "span",
    { class: `picture ${size}`, role: "img", "aria-label": alt, title: `${alt}\n${url.href}` },
    size === "large" ? [icon("image"), alt] : alt.charAt(0),
  );
}

function input(block, host) {
  const error = host.errors?.[block.block_id];
  const label = plain(block.label);
  const inside = place(block, host, { live: Boolean(block.dispatch_action), label, optional: block.optional });
  const field = control(block.element, inside);
  const target = field.matches("input, textarea, select, fieldset, button")
    ? field
    : field.querySelector("input, textarea");
  const errorId = `error-${block.block_id}`;
  if (error) target?.setAttribute("aria-invalid", "true");
  if (error) target?.setAttribute("aria-describedby", errorId);
  return [
    h(
      "div",
      { class: "label" },
      textObject(block.label, host.reader),
      block.optional && h("span", { class: "faint" }, " (optional)"),
    ),
    field,
    error && h("div", { class: "error", id: errorId, role: "alert", data: { testid: "field-error" } }, error),
    block.hint && h("div", { class: "hint" }, textObject(block.hint, host.reader)),
  ];
}

const BLOCKS = {
  section,
  context,
  actions,
  image,
  input,
  header: (block, { reader }) => h("h2", {}, textObject(block.text, reader)),
  divider: () => h("hr"),
  table: (block, { reader }) => table(block, reader),
  data_table: (block, { reader }) => dataTable(block, reader),
  rich_text: (block, { reader }) => richText(block, reader),
  markdown: (block) => markdown(String(block.text ?? "")),
  data_visualization: (block) => chart(block),
};

/** An old-style attachment: a colored bar with blocks inside, or a title and some text. */
export function renderAttachment(attachment, host) {
  const { color, blocks, pretext, title, title_link: href, text, fallback, fields = [], footer } = attachment;
  const namedColor = { good: "#2fa866", warning: "#f0a324", danger: "#e0344b" }[color];
  const bar = namedColor ?? (/^#?[0-9a-f]{6}$/i.test(color ?? "") ? `#${color.replace("#", "")}` : "var(--line-strong)");
  const written = [
    title && h("div", { class: "attachment-title" }, mrkdwn(href ? `<${href}|${title}>` : title, host.reader)),
    h("div", { class: "text" }, text || title ? mrkdwn(text ?? "", host.reader) : decode(fallback ?? "")),
    fields.length > 0 &&
      h(
        "div",
        { class: "fields" },
        fields.map((field) =>
          h(
            "div",
            {},
            h("strong", {}, field.title ?? ""),
            h("div", { class: "text" }, mrkdwn(String(field.value ?? ""), host.reader)),
          ),
        ),
      ),
    footer && h("div", { class: "faint" }, mrkdwn(footer, host.reader)),
  ];
  return [
    pretext && h("div", { class: "text" }, mrkdwn(pretext, host.reader)),
    h("div", { class: "attachment", style: { "--bar": bar } }, blocks?.length ? renderBlocks(blocks, host) : written),
  ];
}
