// Lines at which an alert fires or a target ends, drawn in the chart with their names.
import { colour } from "./theme.js";
import { withUnit } from "./format.js";

/** Return a uPlot range function that shows near thresholds and lets far ones go: they must not flatten the data. */
export function scaleWith(thresholds) {
  return (_, low, high) => {
    const isEmpty = low === null || high === null;
    const values = thresholds.map(({ value }) => value);
    let [bottom, top] = isEmpty ? [0, values.length ? Math.max(...values) : 1] : [Math.min(0, low), high];
    for (const value of values) if (isEmpty || high <= 0 || value <= top * 4) top = Math.max(top, value);
    if (top <= bottom) top = bottom + 1;
    return [bottom < 0 ? bottom * 1.08 : 0, top * 1.1];
  };
}

/** Which value axis a threshold is on. */
export const axisOf = ({ targetAxis }) => (targetAxis === "Y2" ? "y2" : "y");

const COLOURS = { RED: "bad", YELLOW: "warn" };

export function drawThresholds(plot, thresholds, units) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  const taken = [];
  ctx.save();
  ctx.font = `600 ${10.5 * ratio}px "Inter", "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif`;
  for (const threshold of [...thresholds].sort((a, b) => b.value - a.value)) {
    const stroke = colour(COLOURS[threshold.color] ?? toneOf(threshold));
    const scale = axisOf(threshold);
    const isAbove = threshold.value > plot.scales[scale].max;
    const y = isAbove ? bbox.top + ratio : plot.valToPos(threshold.value, scale, true);
    if (y > bbox.top + bbox.height) continue;
    if (!isAbove) line(ctx, bbox, y, stroke, ratio);
    const text = `${isAbove ? "↑ " : ""}${threshold.label ? `${threshold.label} ` : ""}${withUnit(threshold.value, units[scale])}`;
    name(ctx, bbox, y, { text, stroke, ratio, isAbove, taken });
  }
  ctx.restore();
}

// The API knows no colour for a chart's line; its name tells a goal from an alarm.
const toneOf = ({ label }) => (/^(?!alert\b).*\b(?:target|goal|slo)\b/i.test(label ?? "") ? "muted" : /warn/i.test(label ?? "") ? "warn" : "bad");

function line(ctx, bbox, y, stroke, ratio) {
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 1.25 * ratio;
  ctx.setLineDash([5 * ratio, 4 * ratio]);
  ctx.beginPath();
  ctx.moveTo(bbox.left, y);
  ctx.lineTo(bbox.left + bbox.width, y);
  ctx.stroke();
  ctx.setLineDash([]);
}

// A name sits on its line at the left, and moves right where another one is near.
function name(ctx, bbox, y, { text, stroke, ratio, isAbove, taken }) {
  const width = ctx.measureText(text).width;
  const tall = 13 * ratio;
  const isBelow = isAbove || y - tall < bbox.top - 8 * ratio;
  const top = isBelow ? y + 2 * ratio : y - tall;
  let left = bbox.left + 6 * ratio;
  for (const other of taken) if (Math.abs(other.top - top) < tall && left < other.right) left = other.right + 10 * ratio;
  const room = bbox.left + bbox.width - left;
  if (room < 40 * ratio) return;
  const shown = width > room ? shortened(ctx, text, room) : text;
  taken.push({ top, right: left + Math.min(width, room) });
  ctx.globalAlpha = 0.82;
  ctx.fillStyle = colour("surface");
  ctx.fillRect(left - 3 * ratio, top, Math.min(width, room) + 6 * ratio, tall - ratio);
  ctx.globalAlpha = 1;
  ctx.fillStyle = stroke;
  ctx.textBaseline = "middle";
  ctx.textAlign = "left";
  ctx.fillText(shown, left, top + tall / 2 - ratio / 2);
}

// The number at the end says more than the name before it.
function shortened(ctx, text, room) {
  const words = text.split(" ");
  while (words.length > 1 && ctx.measureText(`… ${words.join(" ")}`).width > room) words.shift();
  return `… ${words.join(" ")}`;
}

/** Shade the times of incidents, behind the data. */
export function drawPeriods(plot, periods) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.fillStyle = colour("bad");
  for (const { start_ms, end_ms } of periods) {
    const left = Math.max(bbox.left, plot.valToPos(start_ms / 1000, "x", true));
    const right = end_ms ? Math.min(bbox.left + bbox.width, plot.valToPos(end_ms / 1000, "x", true)) : bbox.left + bbox.width;
    ctx.globalAlpha = 0.1;
    ctx.fillRect(left, bbox.top, Math.max(0, right - left), bbox.height);
    ctx.globalAlpha = 0.7;
    ctx.fillRect(left, bbox.top, devicePixelRatio || 1, bbox.height);
  }
  ctx.restore();
}
