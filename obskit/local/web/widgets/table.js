// The `timeSeriesTable` widget: the latest value of each series, one a row.
import { html, useState } from "../html.js";
import { Answer, Empty } from "../parts.js";
import { source, unsupported } from "../queries.js";
import { withUnit } from "../format.js";
import { seriesName } from "../templates.js";
import { useLatest } from "./latest.js";
import { Unshown } from "./other.js";

const MOST_ROWS = 200;
const QUIET = new Set(["__name__", "project_id", "monitored_resource"]);

export function TimeSeriesTable({ of, title, filters, isVisible, range }) {
  const { answer, sets } = useLatest(of.dataSets, filters, isVisible, range);
  const first = of.dataSets?.[0]?.timeSeriesQuery;
  if (!sets.length) return html`<${Unshown} kind="timeSeriesTable" why=${unsupported(first)} detail=${source(first)} />`;
  return html`<${Answer} of=${answer} what="This table's query failed" lines=${5}
    isEmpty=${(found) => found.every((series) => !series.length)} empty=${html`<${Empty} title="No data" />`}>
    ${(found) => html`<${Rows} of=${of} sets=${sets} found=${found} title=${title} />`}
  </${Answer}>`;
}

function Rows({ of, sets, found, title }) {
  const [order, sortBy] = useState({ column: null, isDown: true });
  const columns = columnsOf(of, sets, found);
  const rows = found.flatMap((series, set) => series.map((each, position) => ({
    ...each,
    set,
    cells: { ...each.labels, Name: seriesName(sets[set].tableTemplate, each, position), [valueColumn(set)]: each.value },
  })));
  const sorted = order.column ? [...rows].sort((a, b) => compare(a.cells[order.column], b.cells[order.column]) * (order.isDown ? -1 : 1)) : rows;
  const highest = Math.max(0, ...rows.map(({ value }) => value));
  const turn = (column) => sortBy({ column, isDown: order.column === column ? !order.isDown : true });
  const direction = (column) => (order.column !== column ? "none" : order.isDown ? "descending" : "ascending");
  return html`<div class="widget-scroll" tabindex="0"><table class="table series-table" aria-label=${title}>
    <thead><tr>${columns.map(({ id, name, isValue }) => html`<th key=${id} class=${isValue ? "right" : ""} aria-sort=${direction(id)}>
      <button type="button" class="plain" onClick=${() => turn(id)}>${name}</button></th>`)}</tr></thead>
    <tbody>${sorted.slice(0, MOST_ROWS).map((row, at) => html`<tr key=${at}>${columns.map((column) => html`<${Cell} key=${column.id} of=${row} column=${column} isBar=${of.metricVisualization === "BAR"} highest=${highest} />`)}</tr>`)}</tbody>
  </table>${rows.length > MOST_ROWS && html`<p class="stale">The first ${MOST_ROWS} of ${rows.length} rows.</p>`}</div>`;
}

const valueColumn = (set) => (set ? `value ${set + 1}` : "value");
const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a ?? "").localeCompare(String(b ?? "")));

function Cell({ of, column, isBar, highest }) {
  const value = of.cells[column.id];
  const side = { LEFT: "left", CENTER: "center", RIGHT: "right" }[column.alignment] ?? (column.isValue ? "right" : "left");
  if (!column.isValue || value === undefined) return html`<td data-label=${column.name} style=${{ textAlign: side }}>${value ?? ""}</td>`;
  const text = withUnit(value, of.unit);
  const tone = toneOf(column.thresholds, value);
  return html`<td data-label=${column.name} class=${`num ${tone}`} style=${{ textAlign: side }}>${isBar
    ? html`<span class="cell-bar"><span style=${{ width: `${highest > 0 ? Math.max(0, (value / highest) * 100) : 0}%` }}></span></span> <span class="cell-number">${text}</span>`
    : text}</td>`;
}

function toneOf(thresholds, value) {
  const crossed = (thresholds ?? []).filter((each) => (each.direction === "BELOW" ? value < (each.value ?? 0) : value > (each.value ?? 0)));
  if (!crossed.length) return "";
  return crossed.some(({ color }) => color !== "YELLOW") ? "cell-bad" : "cell-warn";
}

// The columns in the order of their settings; labels that no settings name come after, the values last.
function columnsOf(of, sets, found) {
  const settings = of.columnSettings ?? [];
  const labels = [...new Set(found.flat().flatMap(({ labels: own }) => Object.keys(own ?? {})))].filter((label) => !QUIET.has(label));
  const values = sets.map((_, set) => valueColumn(set));
  const named = sets.some(({ tableTemplate }) => tableTemplate) || !labels.length ? ["Name"] : [];
  const known = [...named, ...labels, ...values];
  const first = settings.map(({ column }) => column).filter((column) => known.includes(column));
  return [...first, ...known.filter((id) => !first.includes(id))]
    .map((id) => {
      const setting = settings.find(({ column }) => column === id) ?? { visible: true };
      return { ...setting, id, name: setting.displayName || id, isValue: values.includes(id), isShown: setting.visible ?? false };
    })
    .filter(({ isShown }) => isShown);
}
