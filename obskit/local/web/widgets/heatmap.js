// A heatmap of histogram buckets over time: how many values fell into each bucket, by depth of colour.
import { html, useEffect, useRef } from "../html.js";
import { colour, mix, theme } from "../theme.js";
import { compact, dayAndTime, withUnit } from "../format.js";

const AXIS = { left: 64, bottom: 20 };
const FONT = '11px "Inter", "Segoe UI", Roboto, Arial, sans-serif';

export const isHistogram = (series) => series.length > 1 && series.every(({ labels }) => labels?.le !== undefined);

/** Cumulative buckets → {times, bounds, cells[bucket][time]}, the lowest bucket first; series of the same bound are added. */
export function cellsOf(series) {
  const bound = ({ labels }) => (labels.le === "+Inf" ? Infinity : Number(labels.le));
  const times = [...new Set(series.flatMap(({ points }) => points.map(([ms]) => ms)))].sort((a, b) => a - b);
  const place = new Map(times.map((ms, at) => [ms, at]));
  const bounds = [...new Set(series.map(bound))].sort((a, b) => a - b);
  const sums = new Map(bounds.map((each) => [each, new Array(times.length).fill(0)]));
  for (const each of series) for (const [ms, value] of each.points) sums.get(bound(each))[place.get(ms)] += value ?? 0;
  const cells = bounds.map((each, at) => sums.get(each).map((value, when) => Math.max(0, value - (at ? sums.get(bounds[at - 1])[when] : 0))));
  return { times, bounds, cells };
}

export function Heatmap({ series, unit, start_ms, end_ms, step_ms, label }) {
  const canvas = useRef(null);
  const { times, bounds, cells } = cellsOf(series);
  const highest = Math.max(0, ...cells.flat());
  useEffect(() => {
    const node = canvas.current;
    const paint = () => draw(node, { times, bounds, cells, highest, unit, start_ms, end_ms, step_ms });
    paint();
    const watcher = new ResizeObserver(paint);
    watcher.observe(node);
    return () => watcher.disconnect();
  }, [series, theme.value, start_ms, end_ms]);
  return html`<figure class="chart heatmap" aria-label=${label}>
    <canvas ref=${canvas} role="img" aria-label=${`${label}: ${bounds.length} buckets over ${times.length} times, at most ${compact(highest)} in one`}></canvas>
    <figcaption class="quiet num">at most ${compact(highest)}</figcaption>
  </figure>`;
}

function draw(node, { times, bounds, cells, highest, unit, start_ms, end_ms, step_ms }) {
  const scale = window.devicePixelRatio || 1;
  const [width, height] = [node.clientWidth, node.clientHeight];
  node.width = width * scale;
  node.height = height * scale;
  const pen = node.getContext("2d");
  pen.scale(scale, scale);
  pen.clearRect(0, 0, width, height);
  const [wide, tall] = [width - AXIS.left, height - AXIS.bottom];
  const x = (ms) => AXIS.left + ((ms - start_ms) / Math.max(1, end_ms - start_ms)) * wide;
  const row = tall / Math.max(1, bounds.length);
  // Points may be further apart than the chart asked for.
  const wide_ms = Math.min(...times.slice(1).map((ms, at) => ms - times[at]), times.length > 1 ? Infinity : step_ms);
  const [strong, weak] = [colour("chart-1"), colour("surface")];
  cells.forEach((values, at) => values.forEach((value, when) => {
    if (value <= 0) return;
    // The square root keeps rare values visible beside frequent ones.
    pen.fillStyle = mix(strong, weak, 0.12 + 0.88 * Math.sqrt(value / highest));
    const left = Math.max(AXIS.left, x(times[when] - Math.max(wide_ms, step_ms)));
    pen.fillRect(left, tall - (at + 1) * row, Math.max(1, x(times[when]) - left + 0.5), Math.max(1, row - 0.5));
  }));
  labels(pen, { bounds, unit, row, tall, width, start_ms, end_ms });
}

function labels(pen, { bounds, unit, row, tall, width, start_ms, end_ms }) {
  pen.fillStyle = colour("muted");
  pen.font = FONT;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const every = Math.max(1, Math.ceil(14 / row));
  bounds.forEach((bound, at) => {
    // A bound is the line between two buckets; above the last one there is no line.
    if (at % every === 0 && bound !== Infinity) pen.fillText(withUnit(bound, unit), AXIS.left - 6, tall - (at + 1) * row);
  });
  pen.textBaseline = "alphabetic";
  pen.textAlign = "left";
  pen.fillText(dayAndTime(start_ms).replace(/:\d\d$/, ""), AXIS.left, tall + 15);
  pen.textAlign = "right";
  pen.fillText(dayAndTime(end_ms).replace(/:\d\d$/, ""), width, tall + 15);
}
