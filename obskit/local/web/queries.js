// A widget's `timeSeriesQuery` → series, by whichever language it is written in.
import { post, promInstant, promRange } from "./api.js";
import { api } from "./urls.js";
import { project } from "./state.js";
import { fillFilter, fillPromQL, pinned } from "./templates.js";

const STEPS_S = [5, 10, 15, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 5400, 7200, 14_400];
const LINE_POINTS = 150; // every point costs the backend an evaluation of the query
const BAR_POINTS = 60;

/** Return a step in ms that gives about `points` points, and whole steps since the epoch. */
export function stepFor(range_ms, points, least_ms = 0) {
  const wanted = Math.max(range_ms / points, least_ms);
  return 1000 * (STEPS_S.find((seconds) => seconds * 1000 >= wanted) ?? Math.ceil(wanted / 3_600_000) * 3600);
}

/** Return the times of a query: whole steps, so that points do not dance as the window moves. */
export function window_of({ start_ms, end_ms, ms }, { isBar = false, least_ms = 0 } = {}) {
  const step_ms = stepFor(ms, isBar ? BAR_POINTS : LINE_POINTS, isBar ? least_ms : 0);
  return { start_ms: Math.floor(start_ms / step_ms) * step_ms, end_ms: Math.floor(end_ms / step_ms) * step_ms, step_ms };
}

/** "60s" → 60000 */
export const durationMs = (text) => (/^[\d.]+s$/.test(text ?? "") ? parseFloat(text) * 1000 : 0);

const LANGUAGES = { timeSeriesQueryLanguage: "MQL", opsAnalyticsQuery: "SQL (Log Analytics)" };

/** Why a query cannot be asked here, or null. */
export function unsupported(query) {
  if (!query) return "It has no query.";
  if (query.prometheusQuery || query.timeSeriesFilter || query.timeSeriesFilterRatio) return null;
  const name = Object.keys(LANGUAGES).find((key) => key in query);
  return `Its query is in ${name ? LANGUAGES[name] : "a language"} that the local backend does not evaluate.`;
}

/**
 * Return [{labels, name, unit, points}] of a query over a window.
 * hasBuckets: distributions come as cumulative buckets, series with the label le.
 */
export async function ask(query, window, filters, signal, { hasBuckets = false } = {}) {
  const { start_ms, end_ms, step_ms } = window;
  const narrowed = pinned(filters);
  if (query.prometheusQuery) {
    const text = fillPromQL(query.prometheusQuery, filters, step_ms);
    if (!narrowed.length) return promRange(project(), text, window, signal);
    return (await post(api.promql(), { query: text, start_ms, end_ms, step_ms, pinned: narrowed }, signal)).series;
  }
  const body = { start_ms, end_ms, step_ms, pinned: narrowed, has_buckets: hasBuckets };
  const ratio = query.timeSeriesFilterRatio;
  if (ratio) body.timeSeriesFilterRatio = { ...ratio, numerator: withVariables(ratio.numerator, filters), denominator: withVariables(ratio.denominator, filters) };
  else body.timeSeriesFilter = withVariables(query.timeSeriesFilter, filters);
  return (await post(api.timeSeries(), body, signal)).series;
}

const withVariables = (query, filters) => ({ ...query, filter: fillFilter(query?.filter, filters) });

/** Return the latest value of each series, or that of the whole time; PromQL is asked for one moment alone. */
export async function askLatest(query, time, filters, signal) {
  const whole = { start_ms: time.start_ms, end_ms: time.end_ms, step_ms: Math.max(1000, time.ms) };
  if (query.prometheusQuery) {
    const narrowed = pinned(filters);
    const text = fillPromQL(query.prometheusQuery, filters, query.outputFullDuration ? time.ms / 2 : 60_000);
    if (!narrowed.length) return promInstant(project(), text, time.end_ms, signal);
    return (await post(api.promql(), { ...whole, query: text, start_ms: time.end_ms, pinned: narrowed }, signal)).series;
  }
  return ask(query, query.outputFullDuration ? whole : window_of(time), filters, signal);
}

export const unitOf = (query, series) => query?.unitOverride || series.find(({ unit }) => unit)?.unit || "";

/** What a query says, to show where it cannot be drawn. */
export function source(query) {
  if (!query) return "";
  return query.prometheusQuery ?? query.timeSeriesFilter?.filter ?? query.timeSeriesFilterRatio?.numerator?.filter ?? query.timeSeriesQueryLanguage ?? query.opsAnalyticsQuery?.sql ?? "";
}
