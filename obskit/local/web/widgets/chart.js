// The `xyChart` widget.
import { html } from "../html.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Chart } from "../charts.js";
import { Answer, Empty } from "../parts.js";
import { ask, durationMs, source, unitOf, unsupported, window_of } from "../queries.js";
import { marks } from "../marks.js";
import { seriesName } from "../templates.js";
import { duration } from "../format.js";
import { Heatmap, isHistogram } from "./heatmap.js";
import { Unshown } from "./other.js";

const STYLES = { LINE: ["line", false], STACKED_AREA: ["area", true], STACKED_BAR: ["bar", true], HEATMAP: ["heatmap", false], PLOT_TYPE_UNSPECIFIED: ["line", false] };
const MOST_SERIES = 40;

export function XyChart({ of, title, filters, isVisible, range }) {
  const sets = (of.dataSets ?? []).filter(({ timeSeriesQuery }) => !unsupported(timeSeriesQuery));
  const odd = (of.dataSets ?? []).find(({ plotType }) => plotType && !(plotType in STYLES));
  const time = shownTime(range);
  const isBar = sets.some(({ plotType }) => plotType === "STACKED_BAR");
  const window = window_of(time, { isBar, least_ms: Math.max(0, ...sets.map(({ minAlignmentPeriod }) => durationMs(minAlignmentPeriod))) });
  const shift_ms = durationMs(of.timeshiftDuration);
  const key = sets.length && !odd ? JSON.stringify(["xy", time.key, sets, filters, shift_ms]) : null;
  const answer = useData(key, async (signal) => {
    const moving = shownTime(range);
    const now = window_of(moving, { isBar, least_ms: window.step_ms });
    const asked = (set, shown) => ask(set.timeSeriesQuery, shown, filters, signal, { hasBuckets: set.plotType === "HEATMAP" });
    const before = { ...now, start_ms: now.start_ms - shift_ms, end_ms: now.end_ms - shift_ms };
    const [found, past] = await Promise.all([
      Promise.all(sets.map((set) => asked(set, now))),
      Promise.all(shift_ms > 0 ? sets.map((set) => asked(set, before)) : []),
    ]);
    return { found, past, now: { ...now, shown_start_ms: moving.start_ms, shown_end_ms: moving.end_ms } };
  }, { kinds: ["metrics"], gapMs: 2500, isPaused: !isVisible });

  if (odd) return html`<${Unshown} kind=${`${odd.plotType} plot`} detail=${source(odd.timeSeriesQuery)} />`;
  if (!sets.length) return html`<${Unshown} kind="chart" why=${unsupported(of.dataSets?.[0]?.timeSeriesQuery)} detail=${source(of.dataSets?.[0]?.timeSeriesQuery)} />`;
  return html`<${Answer} of=${answer} what="This chart's query failed" lines=${5}
    isEmpty=${({ found }) => found.every((series) => !series.length)}
    empty=${html`<${Empty} title="No data in this time"><code class="empty-query">${source(sets[0].timeSeriesQuery)}</code></${Empty}>`}>
    ${(data) => html`<${Drawn} of=${of} sets=${sets} ...${data} shift_ms=${shift_ms} title=${title} sync=${range ? `own time of ${title}` : "dashboard"} />`}
  </${Answer}>`;
}

function Drawn({ of, sets, found, past, now, shift_ms, title, sync }) {
  const heat = sets.findIndex(({ plotType }) => plotType === "HEATMAP");
  if (heat >= 0) {
    const query = sets[heat].timeSeriesQuery;
    if (!isHistogram(found[heat])) return html`<${Unshown} kind="HEATMAP plot" why="Its query gives no buckets: series with the label le." detail=${source(query)} />`;
    return html`<${Heatmap} series=${found[heat]} unit=${unitOf(query, found[heat])} start_ms=${now.shown_start_ms} end_ms=${now.shown_end_ms} step_ms=${now.step_ms} label=${title} />`;
  }
  const all = [
    ...found.flatMap((series, position) => describe(sets[position], series, sets.length > 1)),
    ...past.flatMap((series, position) => describe(sets[position], series, sets.length > 1).map((each) => earlier(each, shift_ms))),
  ];
  const series = distinct(all.slice(0, MOST_SERIES));
  const unit = series[0]?.unit ?? "";
  const thresholds = (of.thresholds ?? []).filter(({ value }) => Number.isFinite(value ?? 0)).map((each) => ({ value: 0, ...each }));
  const hasUnit = series.filter(({ axis }) => axis !== "y2").every((each) => saysUnit(each.unit, of.yAxis?.label));
  const [left, right] = [hasUnit ? "" : of.yAxis?.label, series.some(({ axis }) => axis === "y2") ? of.y2Axis?.label : ""];
  const marked = marks.value.filter(({ start_ms, end_ms }) => start_ms <= now.shown_end_ms && (end_ms ?? Infinity) >= now.shown_start_ms);
  return html`
    ${(left || right) && html`<p class="axis-title"><span>${left}</span>${right && html`<span>${right}</span>`}</p>`}
    <${Chart} series=${series} unit=${unit} thresholds=${thresholds} start_ms=${now.shown_start_ms} end_ms=${now.shown_end_ms} step_ms=${now.step_ms}
      height="fill" sync=${sync} label=${title} isLog=${of.yAxis?.scale === "LOG10"} isLog2=${of.y2Axis?.scale === "LOG10"} mode=${of.chartOptions?.mode} periods=${marked} />
    ${all.length > MOST_SERIES && html`<p class="stale">The first ${MOST_SERIES} of ${all.length} series.</p>`}`;
}

// Ticks of times and sizes carry their unit, which changes with their size; a label that names one unit alone would contradict.
const UNIT_WORDS = [[/^(?:[nmu]?s|min|h|d)$/, /^(?:nano|micro|milli)?seconds?$|^minutes?$|^hours?$|^days?$/i], [/^[KMGTk]?i?By$/, /^(?:kilo|mega|giga|kibi|mebi|gibi)?bytes$/i], [/^By\/s$/, /^bytes (?:a|per) second$/i]];
const saysUnit = (unit, label) => UNIT_WORDS.some(([units, words]) => units.test(unit ?? "") && words.test(label ?? ""));

// The values of so long ago, moved to the present.
function earlier(series, shift_ms) {
  const points = series.points.map(([ms, value]) => [ms + shift_ms, value]);
  return { ...series, label: `${series.label}, ${duration(shift_ms)} earlier`, points, isPast: true };
}

function describe({ timeSeriesQuery, plotType, legendTemplate, targetAxis }, series, isOneOfMany) {
  const [style, isStacked] = STYLES[plotType] ?? STYLES.LINE;
  const unit = unitOf(timeSeriesQuery, series);
  return series.map((each, position) => ({
    label: [isOneOfMany && !legendTemplate ? metricOf(timeSeriesQuery) : "", seriesName(legendTemplate, each, position)].filter(Boolean).join(" "),
    points: each.points,
    axis: targetAxis === "Y2" ? "y2" : "y",
    style,
    isStacked,
    unit,
  }));
}

// What tells the series of two queries apart where no legend does.
const metricOf = (query) => /metric\.type\s*=\s*"[^"]*?([^"/]+)(?:\/(?:counter|gauge|histogram|summary|unknown))?"/.exec(source(query))?.[1] ?? "";

// A legend may name two series alike; each still needs its own switch.
function distinct(series) {
  const seen = new Map();
  return series.map((each) => {
    const times = (seen.get(each.label) ?? 0) + 1;
    seen.set(each.label, times);
    return times === 1 ? each : { ...each, label: `${each.label} (${times})` };
  });
}
