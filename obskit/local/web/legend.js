// A chart's legend: colour, name and the value under the crosshair, or the latest one.
import { html } from "./html.js";
import { withUnit, timeOfDay } from "./format.js";
import { palette, theme } from "./theme.js";

export function Legend({ series, columns, times, index, hidden, unit, hasStats, isPale }) {
  const at = index.value;
  const colours = theme.value && (isPale ? palette().slice(0, 1) : palette());
  const names = shortened(series.map(({ label }) => label));
  if (!series.length) return null;

  function toggle(event, label) {
    const next = new Set(hidden.value);
    if (event.altKey || event.metaKey) series.forEach((each) => (each.label === label ? next.delete(each.label) : next.add(each.label)));
    else if (!next.delete(label)) next.add(label);
    hidden.value = next.size >= series.length ? new Set() : next;
  }

  return html`<figcaption class="legend">
    <span class="legend-time num">${at === null || times[at] === undefined ? "" : timeOfDay(times[at] * 1000)}</span>
    <ul>
      ${series.map((each, position) => html`<li key=${each.label}>
        <button type="button" class="legend-item" aria-pressed=${hidden.value.has(each.label) ? "false" : "true"} title=${each.label} onClick=${(event) => toggle(event, each.label)}>
          <span class="legend-key" style=${{ backgroundColor: colours[position % colours.length] }}></span>
          <span class="legend-name">${names[position]}</span>
          <span class="legend-value num">${withUnit(valueAt(columns[position], at), each.unit ?? unit)}</span>
          ${hasStats && html`<span class="legend-stats num">${statistics(columns[position], each.unit ?? unit)}</span>`}
        </button>
      </li>`)}
    </ul>
  </figcaption>`;
}

const LONGEST = 28;

/** Leave out what long names begin with alike, up to the end of a word: it would push out what tells them apart. */
export function shortened(names) {
  if (names.length < 2 || !names.some((name) => name.length > LONGEST)) return names;
  const [first] = names;
  let same = 0;
  while (names.every((name) => name[same] !== undefined && name[same] === first[same])) same += 1;
  const cut = first.slice(0, same).search(/[^./:]*$/);
  return cut > 8 ? names.map((name) => `…${name.slice(cut)}`) : names;
}

function statistics(column, unit) {
  const known = (column ?? []).filter((value) => value !== null);
  if (!known.length) return "";
  const mean = known.reduce((sum, value) => sum + value, 0) / known.length;
  return `min ${withUnit(Math.min(...known), unit)} · mean ${withUnit(mean, unit)} · max ${withUnit(Math.max(...known), unit)}`;
}

function valueAt(column, at) {
  if (!column) return null;
  if (at !== null && at !== undefined) return column[at] ?? null;
  for (let position = column.length - 1; position >= 0; position -= 1) if (column[position] !== null) return column[position];
  return null;
}
