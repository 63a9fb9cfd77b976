// A condition of an alert policy as what a chart shows: series, their limit, or the log entries that it looks for.
import { post, promRange } from "./api.js";
import { api } from "./urls.js";
import { project } from "./state.js";
import { compared } from "./comparison.js";
import { seriesName } from "./templates.js";

/** The filter of a condition that looks for log entries, or null. */
export const logFilterOf = (condition) => condition?.conditionMatchedLog?.filter ?? null;

/** Return {series, limit}; series is null where the condition is of a kind that has no chart. */
export async function measured(condition, window, signal) {
  const query = condition?.conditionPrometheusQueryLanguage?.query;
  if (query) return fromPromQL(compared(query), query, window, signal);
  const found = condition?.conditionThreshold ?? condition?.conditionAbsent;
  if (!found?.filter) return { series: null, limit: null };
  const reply = await post(api.timeSeries(), { ...bodyOf(found), ...window }, signal);
  const limit = condition.conditionThreshold ? found.thresholdValue ?? 0 : null;
  return { series: reply.series.map((each, at) => ({ ...each, label: seriesName("", each, at) })), limit };
}

function bodyOf({ filter, aggregations, denominatorFilter, denominatorAggregations }) {
  const side = (text, [aggregation, secondaryAggregation] = []) => ({ filter: text, aggregation, secondaryAggregation });
  if (!denominatorFilter) return { timeSeriesFilter: side(filter, aggregations) };
  return { timeSeriesFilterRatio: { numerator: side(filter, aggregations), denominator: side(denominatorFilter, denominatorAggregations) } };
}

// A query that is not one comparison is shown as it is: where it has a value, it fires.
async function fromPromQL(parts, query, window, signal) {
  const number = Number(parts?.limit);
  const isNumber = !parts || Number.isFinite(number);
  const [values, limits] = await Promise.all([
    promRange(project(), parts?.value ?? query, window, signal),
    isNumber ? [] : promRange(project(), parts.limit, window, signal),
  ]);
  const named = (series, word) => series.map((each, at) => ({ ...each, label: Object.keys(each.labels).length ? `${word} ${seriesName("", each, at)}`.trim() : word || "value" }));
  return { series: [...named(values, isNumber ? "" : "value"), ...named(limits, "threshold")], limit: parts && isNumber ? number : null };
}
