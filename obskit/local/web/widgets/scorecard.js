// The `scorecard` widget: one number, coloured by its thresholds, with a small line or bars.
import { html } from "../html.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Answer, Empty } from "../parts.js";
import { Sparkline } from "../sparkline.js";
import { ask, askLatest, durationMs, source, unitOf, unsupported, window_of } from "../queries.js";
import { inParts, withUnit } from "../format.js";
import { Unshown } from "./other.js";

export function Scorecard({ of, title, filters, isVisible, range }) {
  const query = of.timeSeriesQuery;
  const why = unsupported(query);
  const time = shownTime(range);
  const hasSpark = Boolean(of.sparkChartView);
  const answer = useData(why ? null : JSON.stringify(["score", time.key, query, filters]), async (signal) => {
    const now = shownTime(range);
    const latest = askLatest(query, now, filters, signal);
    const past = hasSpark ? ask(query, window_of({ ...now, start_ms: now.end_ms - now.ms }, { isBar: true, least_ms: durationMs(of.sparkChartView.minAlignmentPeriod) }), filters, signal) : [];
    const [found, history] = await Promise.all([latest, past]);
    return { found, history };
  }, { kinds: ["metrics"], gapMs: 2500, isPaused: !isVisible });

  if (why) return html`<${Unshown} kind="scorecard" why=${why} detail=${source(query)} />`;
  return html`<${Answer} of=${answer} what="This number's query failed" lines=${2}
    isEmpty=${({ found }) => last(found) === null} empty=${html`<${Empty} title="No data" />`}>
    ${(data) => html`<${Number_} of=${of} title=${title} query=${query} ...${data} />`}
  </${Answer}>`;
}

function last(series) {
  for (const { points } of series) for (let at = points.length - 1; at >= 0; at -= 1) if (points[at][1] !== null) return points[at][1];
  return null;
}

function Number_({ of, title, query, found, history }) {
  const unit = unitOf(query, found);
  const value = last(found);
  const crossed = crossedThreshold(of.thresholds ?? [], value);
  const tone = { RED: "bad", YELLOW: "warn" }[crossed?.color] ?? (crossed ? "bad" : of.thresholds?.length ? "good" : "");
  const [number, word] = inParts(value, unit);
  return html`<div class=${`scorecard ${tone} ${of.gaugeView ? "has-gauge" : ""}`}>
    <p class="scorecard-value num" style=${{ "--letters": number.length + (word ? word.length * 0.5 + 1 : 0) }} title=${withUnit(value, unit)}>${number}${word && html` <small>${word}</small>`}</p>
    <p class="scorecard-note" title=${crossed?.label}>${note(of.thresholds ?? [], crossed, unit, found.length)}</p>
    ${of.gaugeView && html`<${Gauge} value=${value} unit=${unit} low=${of.gaugeView.lowerBound ?? 0} high=${of.gaugeView.upperBound ?? 1} thresholds=${of.thresholds ?? []} />`}
    ${history.length > 0 && html`<${Sparkline} values=${history[0].points.map(([, each]) => each)} kind=${of.sparkChartView.sparkChartType === "SPARK_BAR" ? "bar" : "line"} tone=${tone || "accent"} label=${`History of ${title}`} />`}
  </div>`;
}

// The gravest crossed line wins: red before yellow.
function crossedThreshold(thresholds, value) {
  const crossed = thresholds.filter((each) => (each.direction === "BELOW" ? value < (each.value ?? 0) : value > (each.value ?? 0)));
  return crossed.find(({ color }) => color === "RED") ?? crossed[0];
}

function note(thresholds, crossed, unit, series) {
  if (crossed) return `${crossed.direction === "BELOW" ? "below" : "above"} ${withUnit(crossed.value ?? 0, unit)}${crossed.label ? ` · ${crossed.label.replace(/^alert:.*/, "alert")}` : ""}`;
  if (series > 1) return `first of ${series} series`;
  if (!thresholds.length) return "";
  const strict = thresholds.find(({ color }) => color === "RED") ?? thresholds[0];
  return `${strict.direction === "BELOW" ? "alert below" : "alert above"} ${withUnit(strict.value ?? 0, unit)}`;
}

// Half a circle: the part that is reached, a tick at each threshold, both ends named.
function Gauge({ value, unit, low, high, thresholds }) {
  const partOf = (each) => Math.min(1, Math.max(0, (each - low) / (high - low || 1)));
  const part = partOf(value);
  const text = `${withUnit(value, unit)} between ${withUnit(low, unit)} and ${withUnit(high, unit)}`;
  return html`<div class="gauge"><svg viewBox="0 0 100 58" role="img" aria-label=${text}>
    <path class="gauge-ground" d=${arc(0, 1)} />
    ${part > 0 && html`<path class="gauge-part" d=${arc(0, part)} />`}
    ${thresholds.map(({ value: at = 0, color }) => at > low && at < high && html`<path class=${`gauge-tick ${color === "YELLOW" ? "warn" : ""}`} d=${`M${onArc(partOf(at), 35)}L${onArc(partOf(at), 49)}`} />`)}
    <text x="1" y="57">${withUnit(low, unit)}</text><text class="gauge-high" x="99" y="57">${withUnit(high, unit)}</text>
  </svg></div>`;
}

const onArc = (part, radius) => `${(50 - Math.cos(part * Math.PI) * radius).toFixed(2)} ${(50 - Math.sin(part * Math.PI) * radius).toFixed(2)}`;
const arc = (from, to) => `M${onArc(from, 42)}A42 42 0 0 1 ${onArc(to, 42)}`;
