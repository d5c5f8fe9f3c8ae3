// SVG drawings of the emoji that cards use, on a grid of 16 by 16.
//
// Not every machine has a color emoji font, and a card without its status emoji is hard to read.

const RED = "#e0344b", ORANGE = "#f08a24", YELLOW = "#f2c330", GREEN = "#2fa866", BLUE = "#3a86e0", PURPLE = "#9057c9";
const LIGHT = "#f3f3f4", DARK = "#3b3d42", GREY = "#8b8f97", WHITE = "#ffffff";

const square = (fill) => [["rect", { x: 1.5, y: 1.5, width: 13, height: 13, rx: 2.6, fill, stroke: "#00000026" }]];
const circle = (fill) => [["circle", { cx: 8, cy: 8, r: 6.4, fill, stroke: "#00000026" }]];
const line = (d, stroke, width = 2) =>
  ["path", { d, stroke, fill: "none", "stroke-width": width, "stroke-linecap": "round", "stroke-linejoin": "round" }];
const shape = (d, fill) => ["path", { d, fill }];

/** emoji -> its shapes, as [tag, properties] of SVG elements. */
export const GLYPHS = {
  "🟥": square(RED), "🟧": square(ORANGE), "🟨": square(YELLOW), "🟩": square(GREEN), "🟦": square(BLUE),
  "🟪": square(PURPLE), "⬜": square(LIGHT), "⬛": square(DARK),
  "🔴": circle(RED), "🟠": circle(ORANGE), "🟡": circle(YELLOW), "🟢": circle(GREEN), "🔵": circle(BLUE),
  "🟣": circle(PURPLE), "⚪": circle(LIGHT), "⚫": circle(DARK),
  "✅": [...square(GREEN), line("M4.6 8.3L7 10.7 11.4 5.4", WHITE)],
  "❌": [line("M3.4 3.4l9.2 9.2M12.6 3.4l-9.2 9.2", RED, 2.8)],
  "⚠": [shape("M8 1.6L15 14H1z", YELLOW), line("M8 6v3.6M8 11.9v.1", DARK, 1.6)],
  "➖": [line("M3 8h10", GREY, 2.8)],
  "🌅": [shape("M2 11a6 6 0 0 1 12 0z", ORANGE), line("M1.5 11.5h13M8 2v1.6M3 4.6l1 1M13 4.6l-1 1", YELLOW, 1.5)],
  "✓": [line("M3.4 8.6L6.6 11.8 12.6 4.6", GREEN)],
  "✗": [line("M4 4l8 8M12 4l-8 8", RED)],
  "✂": [
    line("M5.4 10.4L12.4 2.6M10.6 10.4L3.6 2.6", GREY, 1.6),
    ["circle", { cx: 4.4, cy: 12.2, r: 2, fill: "none", stroke: RED, "stroke-width": 1.6 }],
    ["circle", { cx: 11.6, cy: 12.2, r: 2, fill: "none", stroke: RED, "stroke-width": 1.6 }],
  ],
  "🌐": [
    ["circle", { cx: 8, cy: 8, r: 6.2, fill: "none", stroke: BLUE, "stroke-width": 1.4 }],
    line("M2 8h12M8 1.8c-4.4 3.6-4.4 8.8 0 12.4M8 1.8c4.4 3.6 4.4 8.8 0 12.4", BLUE, 1.2),
  ],
  "💀": [
    shape("M8 1.6c-3.6 0-6 2.4-6 5.6 0 2 1 3.4 2.4 4.2v2.6h7.2v-2.6C13 10.6 14 9.2 14 7.2c0-3.2-2.4-5.6-6-5.6z", LIGHT),
    line("M5.6 7.4v.1M10.4 7.4v.1", DARK, 2.6), line("M7 12.4v1.4M9 12.4v1.4", DARK, 1),
  ],
  "⛔": [...circle(RED), line("M5 8h6", WHITE, 2.4)],
  "🚫": [
    ["circle", { cx: 8, cy: 8, r: 5.6, fill: "none", stroke: RED, "stroke-width": 2 }],
    line("M4.2 4.2l7.6 7.6", RED),
  ],
  "🛑": [shape("M5.3 1.5h5.4l3.8 3.8v5.4l-3.8 3.8H5.3l-3.8-3.8V5.3z", RED), line("M5 8h6", WHITE)],
  "💥": [
    shape("M8 .8l1.7 3.6 3.6-1.7-1.3 3.7 3.4 1.8-3.7 1.4 1 3.9-3.4-2.1L7.1 15l-.9-3.8-4 .9 2.1-3.4L.9 6.6l4-.3-.7-3.9 3 2.3z", ORANGE),
  ],
  "⏳": [
    shape("M3.6 1.5h8.8v1.8L9.2 8l3.2 4.7v1.8H3.6v-1.8L6.8 8 3.6 3.3z", "#d9b382"),
    line("M3 1.7h10M3 14.3h10", "#7a5a35", 1.5),
  ],
  "⌛": [
    shape("M3.6 1.5h8.8v1.8L9.2 8l3.2 4.7v1.8H3.6v-1.8L6.8 8 3.6 3.3z", "#d9b382"),
    line("M3 1.7h10M3 14.3h10", "#7a5a35", 1.5),
  ],
  "⏱": [
    ["circle", { cx: 8, cy: 9, r: 5.4, fill: LIGHT, stroke: GREY, "stroke-width": 1.5 }],
    line("M8 9V5.8M6.5 1.5h3", GREY, 1.5),
  ],
  "⏭": [...square(BLUE), shape("M4 5l3.5 3L4 11zM7.5 5L11 8l-3.5 3zM11 5h1.3v6H11z", WHITE)],
  "⏩": [...square(BLUE), shape("M4 5l4 3-4 3zM8 5l4 3-4 3z", WHITE)],
  "▶": [...square(BLUE), shape("M6 4.8L11.2 8 6 11.2z", WHITE)],
  "🔁": [line("M3 7V5.5h8.5L9.5 3.5M13 9v1.5H4.5l2 2", BLUE, 1.8)],
  "🔄": [line("M12.6 6A5 5 0 003.5 6.2M3.4 10a5 5 0 009.1-.2M12.9 3v3.2H9.7M3.1 13V9.8h3.2", BLUE, 1.7)],
  "🚨": [
    shape("M4 11V8a4 4 0 018 0v3z", RED),
    shape("M2.8 11h10.4v3H2.8z", GREY),
    line("M8 1.2v1.3M3 3l.9.9M13 3l-.9.9", ORANGE, 1.3),
  ],
  "🔔": [
    shape("M8 1.5a4 4 0 00-4 4.2v3.6L2.5 12h11L12 9.3V5.7a4 4 0 00-4-4.2zM6.4 12.8h3.2a1.6 1.6 0 01-3.2 0z", YELLOW),
  ],
  "🔕": [
    shape("M8 1.5a4 4 0 00-4 4.2v3.6L2.5 12h11L12 9.3V5.7a4 4 0 00-4-4.2z", GREY),
    line("M2.5 2.5l11 11", RED, 1.6),
  ],
  "🔍": [
    ["circle", { cx: 6.6, cy: 6.6, r: 4.2, fill: "#cfe4fb", stroke: GREY, "stroke-width": 1.6 }],
    line("M9.8 9.8l4 4", GREY, 2.2),
  ],
  "🔗": [
    line("M6.5 9.5l3-3M7 4.5l1.5-1.5a2.8 2.8 0 014 4L11 8.5M9 11.5L7.5 13a2.8 2.8 0 01-4-4L5 7.5", GREY, 1.6),
  ],
  "🔒": [
    ["rect", { x: 3, y: 7, width: 10, height: 7.5, rx: 1.5, fill: YELLOW }],
    line("M5.2 7V5a2.8 2.8 0 015.6 0v2", GREY, 1.6),
  ],
  "👀": [
    ["ellipse", { cx: 4.7, cy: 8, rx: 3.2, ry: 4.6, fill: WHITE, stroke: GREY }],
    ["ellipse", { cx: 11.3, cy: 8, rx: 3.2, ry: 4.6, fill: WHITE, stroke: GREY }],
    ["circle", { cx: 3.9, cy: 9, r: 1.5, fill: DARK }],
    ["circle", { cx: 10.5, cy: 9, r: 1.5, fill: DARK }],
  ],
  "ℹ": [...square(BLUE), line("M8 7.4v3.8M8 4.9v.1", WHITE, 1.8)],
  "👤": [["circle", { cx: 8, cy: 5, r: 3.2, fill: GREY }], shape("M1.8 14.5a6.2 5.6 0 0112.4 0z", GREY)],
  "🧪": [
    shape("M6 1.5h4v8.6l1.8 3.2c.4.8 0 1.4-.8 1.4H5c-.8 0-1.2-.6-.8-1.4L6 10z", "#bfe3d0"),
    shape("M5.3 11.2h5.4l1.1 2.1c.4.8 0 1.4-.8 1.4H5c-.8 0-1.2-.6-.8-1.4z", GREEN),
    line("M5.3 1.6h5.4", GREY, 1.3),
  ],
  "📊": [
    ["rect", { x: 1.5, y: 1.5, width: 13, height: 13, rx: 2, fill: LIGHT, stroke: "#00000026" }],
    shape("M4 7.5h2V12H4z", BLUE),
    shape("M7 4.5h2V12H7z", GREEN),
    shape("M10 9h2v3h-2z", RED),
  ],
  "🎉": [
    shape("M2 14L5.5 5.5l5 5z", YELLOW),
    line("M9 5.5c0-2 1.5-1.5 1.5-3.5M10.5 7.5c1.5-1 2 .5 3.5-.5", RED, 1.3),
    shape("M12 3h1.6v1.6H12z", BLUE),
    shape("M6.5 1.5h1.5V3H6.5z", GREEN),
    shape("M13 10h1.5v1.5H13z", PURPLE),
  ],
  "🔥": [
    shape("M8 1c.5 3 4.5 4.5 4.5 8.8A4.5 4.8 0 018 15a4.5 4.8 0 01-4.5-5.2C3.5 7.5 5 6.8 5.2 4.8 6.8 5.5 8 3.8 8 1z", ORANGE),
    shape("M8 8c.3 1.6 2 2.2 2 4.1A2 2.2 0 018 14.3a2 2.2 0 01-2-2.2C6 10.4 7.7 9.8 8 8z", YELLOW),
  ],
  "🕓": [
    ["circle", { cx: 8, cy: 8, r: 6.2, fill: LIGHT, stroke: GREY, "stroke-width": 1.5 }],
    line("M8 4.2V8l2.8 1.8", DARK, 1.5),
  ],
  "❔": [line("M5.2 5.6a2.8 2.8 0 115 1.8C9.4 8.2 8 8.6 8 10.4", GREY, 2.2), line("M8 13.6v.1", GREY, 2.6)],
  "❓": [line("M5.2 5.6a2.8 2.8 0 115 1.8C9.4 8.2 8 8.6 8 10.4", RED, 2.2), line("M8 13.6v.1", RED, 2.6)],
  "💡": [
    shape("M8 1a4.8 4.8 0 00-2.8 8.7V11h5.6V9.7A4.8 4.8 0 008 1z", YELLOW),
    line("M6.2 12.6h3.6M7 14.6h2", GREY, 1.5),
  ],
  "👍": [
    shape("M5.5 7.2L8 1.5c1.5 0 2 1 1.7 2.3L9.2 6h3.6c1.1 0 1.6.9 1.4 1.8l-1.1 5c-.2.9-.8 1.4-1.7 1.4H5.5z", YELLOW),
    shape("M1.8 7h2.7v7.2H1.8z", BLUE),
  ],
  "👎": [
    shape("M5.5 8.8L8 14.5c1.5 0 2-1 1.7-2.3L9.2 10h3.6c1.1 0 1.6-.9 1.4-1.8l-1.1-5c-.2-.9-.8-1.4-1.7-1.4H5.5z", YELLOW),
    shape("M1.8 1.8h2.7V9H1.8z", BLUE),
  ],
  "👋": [
    line("M5 9L3 5.5M7 7.5L4.5 3M9 6.5L6.8 2.7M10.6 7L9 4", YELLOW, 2),
    shape("M4.2 9.5l6.4-3.7 1.3 1.6 1-2.4c.3-.8 1.6-.4 1.4.6-.5 3-1 5.6-3.2 7.4-2.3 1.8-4.8 1-5.9-.9z", YELLOW),
    line("M1.5 10.5c.2 1.8 1.1 3 2.7 3.7", GREY, 1.1),
  ],
  "🙏": [shape("M7.6 1.5L4.2 9.5 3 11l3 3.5 1.6-1.7zM8.4 1.5l3.4 8L13 11l-3 3.5-1.6-1.7z", YELLOW)],
  "🚀": [
    shape("M8 .8c2.6 2 3.4 5 2.6 9H5.4C4.6 5.8 5.4 2.8 8 .8z", LIGHT),
    shape("M5.3 7.5L2.8 11.5l2.8-.8zM10.7 7.5l2.5 4-2.8-.8z", RED),
    ["circle", { cx: 8, cy: 5.2, r: 1.4, fill: BLUE }],
    shape("M6.6 10.5h2.8L8 15z", ORANGE),
  ],
  "🎲": [
    ...square(RED), ["circle", { cx: 5.2, cy: 5.2, r: 1.4, fill: WHITE }],
    ["circle", { cx: 10.8, cy: 10.8, r: 1.4, fill: WHITE }],
  ],
  "🗂": [shape("M1.5 3.5h5l1.5 2h6.5v8h-13z", YELLOW), line("M1.5 8h13", GREY, 1)],
  "📌": [shape("M5.5 1.5h5L10 6l2.5 2.5h-9L6 6z", RED), line("M8 8.5v5.5", GREY, 1.5)],
  "✨": [
    shape("M7 2l1.4 4.1L12.5 7.5 8.4 8.9 7 13 5.6 8.9 1.5 7.5 5.6 6.1zM12.8 1.2l.6 1.7 1.7.6-1.7.6-.6 1.7-.6-1.7-1.7-.6 1.7-.6z", YELLOW),
  ],
  "🌩": [
    shape("M4.6 9.6a3 3 0 01-.3-6 4 4 0 017.5-.4 3.2 3.2 0 01.3 6.4z", GREY),
    shape("M8.6 7.4L5.4 11.6h2.1L6.6 15l3.8-4.6H8.3l1.4-3z", YELLOW),
  ],
  "🌤": [
    ["circle", { cx: 10.2, cy: 5.6, r: 3.6, fill: YELLOW }],
    line("M10.2.6v.6M14.4 2l-.4.4M15.4 5.8h-.6M6 2l.4.4", YELLOW, 1.3),
    shape("M4.6 14.2a2.9 2.9 0 01-.3-5.8 3.8 3.8 0 017.2-.4 3.1 3.1 0 01.3 6.2z", "#c9ced6"),
  ],
  "🚧": [
    ["rect", { x: 1, y: 3.6, width: 14, height: 5.8, rx: 1, fill: ORANGE }],
    shape("M3.2 3.6h2.6L3.6 9.4H1zM8.4 3.6H11L8.8 9.4H6.2zM13.6 3.6H15v3.1l-1 2.7h-2.6z", LIGHT),
    line("M4 9.6v4.6M12 9.6v4.6", GREY, 1.6),
  ],
  "🔌": [
    line("M6 1.6v3M10 1.6v3M8 10.4v1.4c0 1.6 1 2.4 2.6 2.4h2", GREY, 1.6),
    shape("M4 4.6h8v2.2a4 4 0 01-8 0z", DARK),
  ],
  "📝": [
    ["rect", { x: 2, y: 1.5, width: 10, height: 13, rx: 1.2, fill: LIGHT, stroke: GREY }],
    line("M4.4 4.6h5.2M4.4 7.2h5.2M4.4 9.8h3", GREY, 1.1),
    line("M14 6.4l-5 6.2-.5 1.6", ORANGE, 1.8),
  ],
  "📣": [
    shape("M2 6.4L11.6 2v11L2 9.2z", RED),
    shape("M11.6 2c2.2 1.4 2.2 9.4 0 11z", LIGHT),
    line("M5 10.4l.8 3.4h1.8l-.6-2.8", GREY, 1.3),
  ],
  "⏰": [
    ["circle", { cx: 8, cy: 8.8, r: 5.2, fill: LIGHT, stroke: RED, "stroke-width": 1.8 }],
    line("M8 6v2.8l1.8 1.2M2 4.2L4.4 2M14 4.2L11.6 2M4.6 13l-1.2 1.4M11.4 13l1.2 1.4", RED, 1.4),
  ],
  "💤": [line("M2 8.4h4.6L2 13.8h4.8M8 2h5.6L8 8.2h5.8", BLUE, 1.9)],
  "✋": [
    line("M4.6 9V4M7 8V2.2M9.4 8V2.8M11.6 9V4.4", YELLOW, 1.9),
    shape("M3.7 8h8.9v2.4c0 2.6-1.8 4.4-4.2 4.4-2 0-3.2-1-4.2-2.6L1.8 9.4c.8-1 1.6-.4 1.9.2z", YELLOW),
  ],
  "⚡": [shape("M9.8.8L3 9.2h4.2L6 15.2l7-8.6H8.6z", YELLOW)],
  "📈": [
    ["rect", { x: 1.5, y: 1.5, width: 13, height: 13, rx: 2, fill: LIGHT, stroke: "#00000026" }],
    line("M3.8 11.4l3-3.2 2 1.8 3.6-4.8", RED, 1.7),
  ],
  "🎲": [...square(LIGHT), line("M5 5v.1M11 5v.1M8 8v.1M5 11v.1M11 11v.1", DARK, 2.2)],
  "🗂": [
    shape("M1.5 3.5h4.6l1.4 1.8h7v8.2h-13z", YELLOW),
    line("M3.6 8h8.8M3.6 10.6h6", DARK, 1.1),
  ],
  "🆕": [...square(BLUE), line("M3.6 10.4V5.6l2.8 4.8V5.6M12.4 5.6H9.2v4.8h3.2M9.2 8h2.6", WHITE, 1.3)],
  "☑": [...square(BLUE), line("M4.6 8.3L7 10.7 11.4 5.4", WHITE)],
};
