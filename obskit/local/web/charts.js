// One time-series chart: lines, areas or bars, stacked or not, thresholds, a crosshair shared by a page's charts.
import uPlot from "./vendor/uplot.js";
import { html, signal, useEffect, useMemo, useRef } from "./html.js";
import { theme, colour, palette, mix } from "./theme.js";
import { align, stack, withGaps } from "./stack.js";
import { onAxis, timeOfDay, dayAndTime } from "./format.js";
import { Legend } from "./legend.js";
import { axisOf, drawPeriods, drawThresholds, scaleWith } from "./thresholds.js";

const FONT = '11px "Inter", "Segoe UI", Roboto, "Helvetica Neue", "Liberation Sans", Arial, sans-serif';
const POWERS_OF_TWO = Array.from({ length: 52 }, (_, power) => 2 ** power);
// Whole seconds, minutes, hours and days; below a second, tenths.
const SECONDS = [
  ...[-9, -8, -7, -6, -5, -4, -3, -2, -1].flatMap((power) => [1, 2, 2.5, 5].map((digit) => digit * 10 ** power)),
  ...[1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 21_600, 43_200],
  ...[1, 2, 5, 7, 14, 30, 60, 90, 180, 360, 720].map((days) => days * 86_400),
];
const SECONDS_IN = { ns: 1e-9, us: 1e-6, ms: 1e-3, s: 1, min: 60, h: 3600, d: 86_400 };
const WHOLE = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const DASHES = [[], [6, 4], [2, 3]];

/** All living charts, for tests and for the console. */
export const living = new Set();
window.obskitCharts = living;

/**
 * series: [{label, points: [[ms, value]], style: "line" | "area" | "bar", isStacked, unit, axis: "y" | "y2", isPast}]
 * thresholds: [{value, label, color, targetAxis}]; mode: "COLOR" | "X_RAY" | "STATS"; periods: [{start_ms, end_ms}], shaded, open ones to the right edge
 */
export function Chart({ series, unit = "", start_ms, end_ms, step_ms, thresholds = [], height = 220, sync = "page", label, isLog, isLog2, mode, periods = [], hasLegend = true }) {
  const root = useRef(null);
  const plot = useRef(null);
  const index = useMemo(() => signal(null), []);
  const hidden = useMemo(() => signal(new Set()), []);
  const shape = JSON.stringify([series.map((each) => [each.label, each.style, each.isStacked, each.unit, each.axis, each.isPast]), unit, thresholds, periods, isLog, isLog2, mode]);
  const drawn = useMemo(() => prepare(series, step_ms, hidden.value), [series, hidden.value, step_ms]);
  const span = useRef([start_ms, end_ms]);
  span.current = [start_ms, end_ms];

  useEffect(() => {
    const node = root.current;
    const options = describe({ drawn, unit, thresholds, periods, isLog, isLog2, mode, sync, index, span, series });
    options.width = Math.max(80, node.clientWidth);
    options.height = Math.max(80, node.clientHeight);
    const made = new uPlot(options, drawn.columns, node);
    plot.current = made;
    living.add(made);
    const watcher = new ResizeObserver(() => {
      const [width, tall] = [node.clientWidth, node.clientHeight];
      if (width > 0 && tall > 0 && (width !== made.width || tall !== made.height)) made.setSize({ width, height: tall });
    });
    watcher.observe(node);
    return () => {
      watcher.disconnect();
      living.delete(made);
      made.destroy();
      plot.current = null;
    };
  }, [shape, theme.value, hidden.value]);

  useEffect(() => {
    if (plot.current) plot.current.setData(drawn.columns);
  }, [drawn, start_ms, end_ms]);

  return html`<figure class="chart" aria-label=${label}>
    <div class="chart-plot" ref=${root} style=${{ height: typeof height === "number" ? `${height}px` : undefined }}></div>
    ${hasLegend && html`<${Legend} series=${series} columns=${drawn.raw} times=${drawn.columns[0]} index=${index} hidden=${hidden} unit=${unit} hasStats=${mode === "STATS"} isPale=${mode === "X_RAY"} />`}
  </figure>`;
}

// uPlot paints in order, so the top of a stack comes first and the lower parts paint over it.
function prepare(series, step_ms, hidden) {
  const shown = withGaps(series, step_ms);
  const [times, ...raw] = align(shown);
  const order = series.map((_, at) => at).filter((at) => !hidden.has(series[at].label));
  const stackedOf = (axis) => order.filter((at) => series[at].isStacked && (series[at].axis ?? "y") === axis);
  const columns = [...raw];
  for (const axis of ["y", "y2"]) {
    const stacked = stackedOf(axis);
    stack(stacked.map((at) => raw[at])).forEach((column, position) => (columns[stacked[position]] = column));
  }
  const paint = [...order.filter((at) => series[at].isStacked).reverse(), ...order.filter((at) => !series[at].isStacked)];
  return { raw, paint, columns: [times, ...paint.map((at) => columns[at])] };
}

function describe({ drawn, unit, thresholds, periods, isLog, isLog2, mode, sync, index, span, series }) {
  const colours = palette();
  const hasSecond = series.some(({ axis }) => axis === "y2");
  const firstUnit = series.find(({ axis }) => axis !== "y2")?.unit ?? unit;
  const secondUnit = series.find(({ axis }) => axis === "y2")?.unit ?? unit;
  const limits = (axis) => thresholds.filter((each) => axisOf(each) === axis && (hasSecond || axis === "y"));
  const isWhole = (axis) => series.every((each) => (each.axis ?? "y") !== axis || each.points.every(([, value]) => value === null || Number.isInteger(value)));
  return {
    padding: [12, hasSecond ? 0 : 18, 0, 0],
    legend: { show: false },
    cursor: {
      sync: { key: sync, setSeries: false },
      y: false,
      drag: { x: false, y: false },
      points: { size: 7, width: 1.5 },
    },
    scales: {
      x: { time: true, range: () => [span.current[0] / 1000, span.current[1] / 1000] },
      y: { distr: isLog ? 3 : 1, range: isLog ? undefined : scaleWith(limits("y")) },
      y2: { distr: isLog2 ? 3 : 1, range: isLog2 ? undefined : scaleWith(limits("y2")) },
    },
    axes: [timeAxis(span), valueAxis("y", firstUnit, 3, isWhole("y")), ...(hasSecond ? [valueAxis("y2", secondUnit, 1, isWhole("y2"))] : [])],
    series: [{}, ...drawn.paint.map((at) => describeSeries(series[at], at, mode === "X_RAY" ? [mix(colours[0], colour("surface"), 0.35)] : colours))],
    hooks: {
      setCursor: [(made) => (index.value = made.cursor.idx ?? null)],
      drawAxes: [(made) => drawPeriods(made, periods)],
      draw: [(made) => drawThresholds(made, [...limits("y"), ...limits("y2")], { y: firstUnit, y2: secondUnit })],
    },
  };
}

function describeSeries({ label, style = "line", isStacked, axis = "y", isPast }, at, colours) {
  const stroke = colours[at % colours.length];
  const base = { label, scale: axis, stroke, width: 1.75, points: { show: showsPoint, size: 4, fill: stroke } };
  if (style === "bar") {
    return { ...base, width: 0, fill: stroke, points: { show: false }, paths: uPlot.paths.bars({ size: [0.8, 24], gap: 1 }) };
  }
  if (style === "area" || isStacked) return { ...base, width: 1.25, fill: mix(stroke, colour("surface"), isStacked ? 0.42 : 0.22) };
  if (isPast) return { ...base, width: 1.25, dash: [2, 3] };
  return { ...base, dash: DASHES[Math.floor(at / colours.length) % DASHES.length] };
}

// A line needs no dots; a lone point would be invisible without one.
function showsPoint(made, at) {
  const column = made.data[at];
  return column.filter((value) => value !== null).length <= 2;
}

function timeAxis(span) {
  return {
    stroke: colour("muted"),
    font: FONT,
    size: 24,
    gap: 4,
    space: 72,
    grid: { show: false },
    ticks: { stroke: colour("line"), width: 1, size: 4 },
    values: (_, splits) => splits.map((seconds) => tick(seconds, span.current[1] - span.current[0])),
  };
}

function tick(seconds, ms) {
  if (ms > 2 * 86_400_000) return dayAndTime(seconds * 1000).replace(/ \d\d:.*$/, "");
  const text = timeOfDay(seconds * 1000);
  return ms > 600_000 ? text.slice(0, 5) : text;
}

// Where ticks may stand: at round numbers of the unit, and at whole ones where nothing else is counted.
function steps(unit, isWhole) {
  if (unit in SECONDS_IN) return SECONDS.map((seconds) => seconds / SECONDS_IN[unit]);
  if (/^([KMGTk]i?)?By(\/s)?$/.test(unit)) return POWERS_OF_TWO;
  return isWhole && (unit === "" || unit === "1" || unit.startsWith("{")) ? WHOLE : undefined;
}

function valueAxis(scale, unit, side, isWhole) {
  return {
    scale,
    side,
    stroke: colour("muted"),
    font: FONT,
    size: (made, values) => Math.max(40, 14 + widest(made, values)),
    gap: 4,
    space: 32,
    incrs: steps(unit, isWhole),
    grid: side === 3 ? { stroke: colour("grid"), width: 1 } : { show: false },
    ticks: { show: false },
    values: (_, splits) => splits.map((value) => onAxis(value, unit)),
  };
}

function widest(made, values) {
  if (!values) return 0;
  made.ctx.font = FONT;
  return Math.max(...values.map((value) => made.ctx.measureText(String(value ?? "")).width));
}
