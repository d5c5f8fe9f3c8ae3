// Renders table and data_table blocks.
// https://docs.slack.dev/reference/block-kit/blocks/table-block
// https://docs.slack.dev/reference/block-kit/blocks/data-table-block
import { h } from "./dom.js";
import { richText } from "./richtext.js";

const DEFAULT_PAGE_SIZE = 5;

/** A `table`: cells are on one line unless their column is wrapped; wide tables scroll. */
export function table(block, reader) {
  const settings = (column) => block.column_settings?.[column] ?? {};
  const look = (column) =>
    `align-${settings(column).align ?? "left"}${settings(column).is_wrapped ? "" : " one-line"}`;
  const [head = [], ...rows] = block.rows ?? [];
  return scrollable(
    "Table",
    h("table", {}, h("thead", {}, headRow(head, look, reader)), h("tbody", {}, bodyRows(rows, look, reader))),
  );
}

/** A `data_table`: a caption, and rows in pages. */
export function dataTable(block, reader) {
  const [head = [], ...rows] = block.rows ?? [];
  const size = block.page_size ?? DEFAULT_PAGE_SIZE;
  const numeric = (column) => rows.length > 0 && rows.every((row) => row[column]?.type === "raw_number");
  const look = (column) => `align-${numeric(column) ? "right" : "left"}`;
  const body = h("tbody");
  const range = h("span", { class: "faint", role: "status" });
  const [back, forward] = [
    ["Previous", -size],
    ["Next", size],
  ].map(([label, step]) => h("button", { type: "button", class: "button", onclick: () => show(first + step) }, label));
  let first = 0;
  function show(from) {
    first = from;
    const last = Math.min(from + size, rows.length);
    body.replaceChildren(...bodyRows(rows.slice(from, last), look, reader, block.row_header_column_index ?? 0));
    range.textContent = `${from + 1} to ${last} of ${rows.length}`;
    back.disabled = from === 0;
    forward.disabled = last === rows.length;
  }
  show(0);
  const caption = h("caption", {}, block.caption ?? "");
  const whole = h("table", {}, caption, h("thead", {}, headRow(head, look, reader)), body);
  const pager = rows.length > size && h("div", { class: "pager" }, range, back, forward);
  return [scrollable(block.caption ?? "Table", whole), pager].filter(Boolean);
}

/** Focusable, so that the keyboard can scroll it. */
const scrollable = (label, content) =>
  h("div", { class: "table-scroller", role: "group", "aria-label": label, tabindex: "0" }, content);

const headRow = (cells, look, reader) =>
  h(
    "tr",
    {},
    cells.map((cell, column) => h("th", { scope: "col", class: look(column) }, content(cell, reader))),
  );

const bodyRows = (rows, look, reader, headerColumn = null) =>
  rows.map((row) =>
    h(
      "tr",
      {},
      row.map((cell, column) =>
        column === headerColumn
          ? h("th", { scope: "row", class: look(column) }, content(cell, reader))
          : h("td", { class: look(column) }, content(cell, reader)),
      ),
    ),
  );

const content = (cell, reader) =>
  cell?.type === "rich_text" ? richText(cell, reader) : String(cell?.text ?? cell?.value ?? "");
