// A line without axes, as SVG.
import { html } from "./html.js";

/** values: numbers or nulls, oldest first. */
export function Sparkline({ values, kind = "line", tone = "accent", label }) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.length < 2) return html`<svg class="spark" viewBox="0 0 100 32" aria-hidden="true"></svg>`;
  const low = Math.min(0, ...known);
  const high = Math.max(...known, low + 1e-12);
  const x = (index) => (index / (values.length - 1)) * 100;
  const y = (value) => 30 - ((value - low) / (high - low)) * 27;
  const shape = kind === "bar" ? bars(values, x, y) : lines(values, x, y);
  return html`<svg class=${`spark tone-${tone}`} viewBox="0 0 100 32" preserveAspectRatio="none" role=${label ? "img" : undefined} aria-label=${label} aria-hidden=${label ? undefined : "true"}>${shape}</svg>`;
}

function lines(values, x, y) {
  const runs = [];
  let run = null;
  values.forEach((value, index) => {
    if (value === null || value === undefined) run = null;
    else if (run) run.push([x(index), y(value)]);
    else runs.push((run = [[x(index), y(value)]]));
  });
  const text = (points) => points.map(([px, py]) => `${px.toFixed(2)} ${py.toFixed(2)}`).join("L");
  return runs.map((points) => [
    html`<path class="spark-area" d=${`M${points[0][0]} 31L${text(points)}L${points.at(-1)[0]} 31Z`} />`,
    html`<path class="spark-line" d=${`M${text(points)}`} />`,
  ]);
}

function bars(values, x, y) {
  const width = Math.max(0.6, 70 / values.length);
  return values.map((value, index) => value ? html`<rect class="spark-bar" x=${x(index) * 0.97} y=${y(value)} width=${width} height=${31 - y(value)} />` : null);
}
