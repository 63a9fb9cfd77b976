// Series as the API gives them → the aligned columns that uPlot draws.

/** Return [times in s, values…] on the union of all times; a series without a point there has null. */
export function align(series) {
  const times = [...new Set(series.flatMap(({ points }) => points.map(([ms]) => ms)))].sort((a, b) => a - b);
  const at = new Map(times.map((ms, index) => [ms, index]));
  const columns = series.map(({ points }) => {
    const column = new Array(times.length).fill(null);
    for (const [ms, value] of points) column[at.get(ms)] = value;
    return column;
  });
  return [times.map((ms) => ms / 1000), ...columns];
}

/** Break lines where more than two steps are missing, which "spanGaps: false" alone does not do without points. */
export function withGaps(series, step_ms) {
  if (!step_ms) return series;
  return series.map((each) => {
    const points = [];
    let last = null;
    for (const point of each.points) {
      if (last !== null && point[0] - last > step_ms * 2.5) points.push([last + step_ms, null]);
      points.push(point);
      last = point[0];
    }
    return { ...each, points };
  });
}

/** Return columns in which each series stands on the ones before it. */
export function stack(columns) {
  const length = columns[0]?.length ?? 0;
  const sums = new Array(length).fill(0);
  const hasAny = new Array(length).fill(false);
  for (const column of columns) column.forEach((value, index) => (hasAny[index] ||= value !== null));
  return columns.map((column) => column.map((value, index) => {
    if (!hasAny[index]) return null;
    sums[index] += value ?? 0;
    return sums[index];
  }));
}

/** The greatest finite value of columns, or null. */
export function greatest(columns) {
  let found = null;
  for (const column of columns) for (const value of column) if (value !== null && (found === null || value > found)) found = value;
  return found;
}
