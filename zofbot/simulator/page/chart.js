// Draws data_visualization blocks as small SVG charts.
// https://docs.slack.dev/reference/block-kit/blocks/data-visualization-block
import { h, svg } from "./dom.js";

const WIDTH = 480,
  HEIGHT = 200;
const AREA = { left: 40, right: 470, top: 10, bottom: 172 };

/** The chart with title and legend, and its numbers as text for screen readers. */
export function chart(block) {
  const { type, series = [], segments } = block.chart ?? {};
  const drawn = segments ? [{ name: "", data: segments }] : series;
  const words = drawn.map(
    ({ name, data }) => `${name} ${data.map((point) => `${point.label}: ${point.value}`).join(", ")}`,
  );
  return h(
    "figure",
    { class: "chart" },
    h("figcaption", {}, block.title ?? ""),
    svg(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${block.title}. ${words.join("; ")}` },
      plot(type, drawn),
    ),
    drawn.length > 1 &&
      h(
        "div",
        { class: "legend" },
        drawn.map(({ name }, index) => h("span", { class: `series-${index}` }, name)),
      ),
  );
}

function plot(type, series) {
  const labels = series[0]?.data.map((point) => point.label) ?? [];
  const top = niceCeiling(Math.max(1, ...series.flatMap(({ data }) => data.map((point) => point.value))));
  const step = (AREA.right - AREA.left) / Math.max(1, labels.length);
  const x = (index) => AREA.left + step * (index + 0.5);
  const y = (value) => AREA.bottom - (Math.max(0, value) / top) * (AREA.bottom - AREA.top);
  const draw = type === "line" || type === "area" ? lines : bars;
  return [grid(top, y), names(labels, x), draw(series, x, y, step)];
}

/** The smallest 1, 2 or 5 times a power of ten that is not below the value. */
function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((factor) => factor * power >= value) * power;
}

const grid = (top, y) =>
  [0, top / 2, top].map((value) => [
    svg("line", { class: "grid", x1: AREA.left, x2: AREA.right, y1: y(value), y2: y(value) }),
    svg("text", { x: AREA.left - 6, y: y(value) + 4, "text-anchor": "end" }, value.toLocaleString("en")),
  ]);

const names = (labels, x) =>
  labels.map((label, index) => svg("text", { x: x(index), y: AREA.bottom + 18, "text-anchor": "middle" }, label));

function bars(series, x, y, step) {
  const width = (step * 0.7) / series.length;
  return series.map(({ data }, which) =>
    data.map((point, index) => {
      const left = x(index) - step * 0.35 + width * which;
      const height = AREA.bottom - y(point.value);
      return svg("rect", { class: `series-${which}`, x: left, y: y(point.value), width: width * 0.92, height, rx: 2 });
    }),
  );
}

const lines = (series, x, y) =>
  series.map(({ data }, which) => [
    svg("polyline", {
      class: `series-${which}`,
      points: data.map((point, index) => `${x(index)},${y(point.value)}`).join(" "),
    }),
    data.map((point, index) => svg("circle", { class: `series-${which}`, cx: x(index), cy: y(point.value), r: 3 })),
  ]);
