// The latest value of each series of several data sets: what pie charts and tables show.
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { askLatest, unitOf, unsupported } from "../queries.js";

/** Return {answer, sets}: the data sets that can be asked here, and for each of them [{labels, name, unit, value}]. */
export function useLatest(dataSets, filters, isVisible, range) {
  const sets = (dataSets ?? []).filter(({ timeSeriesQuery }) => !unsupported(timeSeriesQuery));
  const key = sets.length ? JSON.stringify(["latest", shownTime(range).key, sets, filters]) : null;
  const answer = useData(key, async (signal) => {
    const now = shownTime(range);
    return Promise.all(sets.map(async ({ timeSeriesQuery }) => {
      const found = await askLatest(timeSeriesQuery, now, filters, signal);
      const unit = unitOf(timeSeriesQuery, found);
      return found.map((series) => ({ labels: series.labels, name: series.name, unit, value: lastOf(series.points) })).filter(({ value }) => value !== null);
    }));
  }, { kinds: ["metrics"], gapMs: 2500, isPaused: !isVisible });
  return { answer, sets };
}

function lastOf(points) {
  for (let at = points.length - 1; at >= 0; at -= 1) if (points[at][1] !== null) return points[at][1];
  return null;
}
