// Turns :shortcodes: into emoji: a drawing if there is one, else a character of the system's fonts.
import { h, svg } from "./dom.js";
import { GLYPHS } from "./glyphs.js";

const SHORTCODES = {
  white_check_mark: "✅", heavy_check_mark: "✔️", ballot_box_with_check: "☑️", x: "❌",
  heavy_multiplication_x: "✖️", warning: "⚠️", no_entry: "⛔", no_entry_sign: "🚫", octagonal_sign: "🛑",
  rotating_light: "🚨", boom: "💥", fire: "🔥", bug: "🐛", red_circle: "🔴", large_red_circle: "🔴",
  large_orange_circle: "🟠", large_yellow_circle: "🟡", large_green_circle: "🟢", large_blue_circle: "🔵",
  blue_circle: "🔵", large_purple_circle: "🟣", white_circle: "⚪", black_circle: "⚫", large_red_square: "🟥",
  large_orange_square: "🟧", large_yellow_square: "🟨", large_green_square: "🟩", large_blue_square: "🟦",
  large_purple_square: "🟪", white_large_square: "⬜", black_large_square: "⬛", hourglass: "⌛",
  hourglass_flowing_sand: "⏳", stopwatch: "⏱️", alarm_clock: "⏰", clock1: "🕐", fast_forward: "⏩",
  black_right_pointing_double_triangle_with_vertical_bar: "⏭️", next_track_button: "⏭️",
  double_vertical_bar: "⏸️", arrow_forward: "▶️", repeat: "🔁", arrows_counterclockwise: "🔄",
  leftwards_arrow_with_hook: "↩️", arrow_right: "➡️", arrow_up: "⬆️", arrow_down: "⬇️", link: "🔗", lock: "🔒",
  unlock: "🔓", key: "🔑", bell: "🔔", no_bell: "🔕", zzz: "💤", mag: "🔍", eyes: "👀", information_source: "ℹ️",
  question: "❓", grey_question: "❔", exclamation: "❗", bulb: "💡", memo: "📝", clipboard: "📋",
  page_facing_up: "📄", scroll: "📜", package: "📦", file_folder: "📁", label: "🏷️", chart_with_upwards_trend: "📈",
  chart_with_downwards_trend: "📉", bar_chart: "📊", calendar: "📅", date: "📅", test_tube: "🧪", microscope: "🔬",
  gear: "⚙️", hammer_and_wrench: "🛠️", wrench: "🔧", robot_face: "🤖", rocket: "🚀", ship: "🚢", construction: "🚧",
  globe_with_meridians: "🌐", speech_balloon: "💬", mega: "📣", loudspeaker: "📢", incoming_envelope: "📨",
  envelope: "✉️", pushpin: "📌", seedling: "🌱", sparkles: "✨", tada: "🎉", star: "⭐", wave: "👋", "+1": "👍",
  thumbsup: "👍", "-1": "👎", thumbsdown: "👎", raised_hand: "✋", hand: "✋", raised_hands: "🙌", pray: "🙏",
  clap: "👏", ok_hand: "👌", muscle: "💪", point_right: "👉", heart: "❤️", smile: "😄", slightly_smiling_face: "🙂",
  thinking_face: "🤔", sweat_smile: "😅", bust_in_silhouette: "👤", busts_in_silhouette: "👥", snowflake: "❄️",
  lightning: "🌩️", lightning_cloud: "🌩️", mostly_sunny: "🌤️", electric_plug: "🔌", zap: "⚡",
};

const FOUND = new RegExp(`:([a-z0-9_+'-]+):|(${Object.keys(GLYPHS).join("|")})\\ufe0f?`, "gu");

/** Text nodes and emoji for a decoded text; unknown shortcodes such as the middle of 12:30:45 stay as they are. */
export function emojify(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(FOUND)) {
    const glyph = match[2] ?? glyphOf(match[1]);
    if (!glyph) continue;
    if (match.index > from) nodes.push(text.slice(from, match.index));
    nodes.push(picture(glyph, match[1]));
    from = match.index + match[0].length;
  }
  if (from < text.length) nodes.push(text.slice(from));
  return nodes;
}

/** Emoji as plain characters, for places without markup: options of a select, placeholders, labels. */
export const emojiText = (text) => text.replace(/:([a-z0-9_+'-]+):/g, (code, name) => glyphOf(name) ?? code);

const glyphOf = (name) => (Object.hasOwn(SHORTCODES, name) ? SHORTCODES[name] : null);

function picture(glyph, name) {
  const drawing = GLYPHS[glyph.replace("\ufe0f", "")];
  const title = name ? `:${name}:` : null;
  // The shortcode is shown, as Slack does with unknown emoji, instead of an empty box.
  if (!drawing) return h("span", { class: "emoji", title }, !name || hasFont() ? glyph : title);
  const image = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, drawing.map(([tag, props]) => svg(tag, props)));
  // The character is kept underneath, for copying and for screen readers.
  return h("span", { class: "emoji painted", title }, h("span", { class: "glyph" }, glyph), image);
}

let fontFound = null;

/** True if this machine can draw emoji: they must look different from a character that does not exist. */
function hasFont() {
  fontFound ??= inked("🚢") !== inked("\u{10fffe}");
  return fontFound;
}

function inked(character) {
  const canvas = h("canvas", { width: 24, height: 24 });
  const pen = canvas.getContext("2d");
  pen.font = "16px sans-serif";
  pen.fillText(character, 2, 18);
  return canvas.toDataURL();
}
