// The `xyChart` widget.
import { html } from "../html.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Chart } from "../charts.js";
import { Answer, Empty } from "../parts.js";
import { ask, durationMs, source, unitOf, unsupported, window_of } from "../queries.js";
import { seriesName } from "../templates.js";
import { Heatmap, isHistogram } from "./heatmap.js";
import { Unshown } from "./other.js";

const STYLES = { LINE: ["line", false], STACKED_AREA: ["area", true], STACKED_BAR: ["bar", true], HEATMAP: ["heatmap", false] };
const MOST_SERIES = 40;

export function XyChart({ of, title, filters, isVisible }) {
  const sets = (of.dataSets ?? []).filter(({ timeSeriesQuery }) => !unsupported(timeSeriesQuery));
  const odd = (of.dataSets ?? []).find(({ plotType }) => plotType && !(plotType in STYLES));
  const time = shownTime();
  const isBar = sets.some(({ plotType }) => plotType === "STACKED_BAR");
  const window = window_of(time, { isBar, least_ms: Math.max(0, ...sets.map(({ minAlignmentPeriod }) => durationMs(minAlignmentPeriod))) });
  const key = sets.length && !odd ? JSON.stringify(["xy", time.key, sets, filters]) : null;
  const answer = useData(key, async (signal) => {
    const moving = shownTime();
    const now = window_of(moving, { isBar, least_ms: window.step_ms });
    const found = await Promise.all(sets.map((set) => ask(set.timeSeriesQuery, now, filters, signal)));
    return { found, now: { ...now, shown_start_ms: moving.start_ms, shown_end_ms: moving.end_ms } };
  }, { kinds: ["metrics"], gapMs: 2500, isPaused: !isVisible });

  if (odd) return html`<${Unshown} kind=${`${odd.plotType} plot`} detail=${source(odd.timeSeriesQuery)} />`;
  if (!sets.length) return html`<${Unshown} kind="chart" why=${unsupported(of.dataSets?.[0]?.timeSeriesQuery)} detail=${source(of.dataSets?.[0]?.timeSeriesQuery)} />`;
  return html`<${Answer} of=${answer} what="This chart's query failed" lines=${5}
    isEmpty=${({ found }) => found.every((series) => !series.length)}
    empty=${html`<${Empty} title="No data in this time"><code class="empty-query">${source(sets[0].timeSeriesQuery)}</code></${Empty}>`}>
    ${({ found, now }) => html`<${Drawn} of=${of} sets=${sets} found=${found} now=${now} title=${title} />`}
  </${Answer}>`;
}

function Drawn({ of, sets, found, now, title }) {
  const heat = sets.findIndex(({ plotType }) => plotType === "HEATMAP");
  if (heat >= 0) {
    const query = sets[heat].timeSeriesQuery;
    if (!isHistogram(found[heat])) return html`<${Unshown} kind="HEATMAP plot" why="Its query gives no buckets: series with the label le." detail=${source(query)} />`;
    return html`<${Heatmap} series=${found[heat]} unit=${unitOf(query, found[heat])} start_ms=${now.shown_start_ms} end_ms=${now.shown_end_ms} step_ms=${now.step_ms} label=${title} />`;
  }
  const all = found.flatMap((series, position) => describe(sets[position], series, sets.length > 1));
  const series = distinct(all.slice(0, MOST_SERIES));
  const unit = series[0]?.unit ?? "";
  const thresholds = (of.thresholds ?? []).filter(({ value }) => Number.isFinite(value ?? 0)).map((each) => ({ value: 0, ...each }));
  return html`
    ${of.yAxis?.label && html`<p class="axis-title">${of.yAxis.label}</p>`}
    <${Chart} series=${series} unit=${unit} thresholds=${thresholds} start_ms=${now.shown_start_ms} end_ms=${now.shown_end_ms} step_ms=${now.step_ms}
      height="fill" sync="dashboard" label=${title} isLog=${of.yAxis?.scale === "LOG10"} />
    ${all.length > MOST_SERIES && html`<p class="stale">The first ${MOST_SERIES} of ${all.length} series.</p>`}`;
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
