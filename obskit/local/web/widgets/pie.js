// The `pieChart` widget: shares of a whole, with a legend that says them in words.
import { html } from "../html.js";
import { palette, theme } from "../theme.js";
import { Answer, Empty } from "../parts.js";
import { source, unsupported } from "../queries.js";
import { inParts, share, withUnit } from "../format.js";
import { seriesName } from "../templates.js";
import { useLatest } from "./latest.js";
import { Unshown } from "./other.js";

const MOST_SLICES = 12;

export function PieChart({ of, title, filters, isVisible, range }) {
  const { answer, sets } = useLatest(of.dataSets, filters, isVisible, range);
  const first = of.dataSets?.[0]?.timeSeriesQuery;
  if (!sets.length) return html`<${Unshown} kind="pieChart" why=${unsupported(first)} detail=${source(first)} />`;
  return html`<${Answer} of=${answer} what="This chart's query failed" lines=${4}
    isEmpty=${(found) => slicesOf(sets, found).length === 0} empty=${html`<${Empty} title="No data" />`}>
    ${(found) => html`<${Pie} slices=${slicesOf(sets, found)} isDonut=${of.chartType !== "PIE"} hasLabels=${of.showLabels} title=${title} />`}
  </${Answer}>`;
}

// The largest first; what is left of many small ones is one slice.
function slicesOf(sets, found) {
  const all = found.flatMap((series, set) => series.map((each, position) => ({ ...each, label: seriesName(sets[set].sliceNameTemplate, each, position) })));
  const slices = all.filter(({ value }) => value > 0).sort((a, b) => b.value - a.value);
  if (slices.length <= MOST_SLICES) return slices;
  const rest = slices.slice(MOST_SLICES - 1);
  const value = rest.reduce((sum, each) => sum + each.value, 0);
  return [...slices.slice(0, MOST_SLICES - 1), { label: `${rest.length} others`, unit: rest[0].unit, value }];
}

function Pie({ slices, isDonut, hasLabels, title }) {
  const colours = theme.value && palette();
  const total = slices.reduce((sum, { value }) => sum + value, 0);
  const parts = slices.map((slice, at) => ({ ...slice, part: slice.value / total, colour: colours[at % colours.length] }));
  let from = 0;
  const drawn = parts.map((each) => {
    const path = wedge(from, from + each.part, isDonut ? 27 : 0);
    const middle = from + each.part / 2;
    from += each.part;
    return { ...each, path, middle };
  });
  return html`<div class="pie">
    <svg viewBox="-50 -50 100 100" role="img" aria-label=${`${title}: ${parts.map(({ label, part }) => `${label} ${share(part)}`).join(", ")}`}>
      ${drawn.map(({ label, value, unit, path, colour, part }) => html`<path d=${path} fill=${colour} fill-rule="evenodd"><title>${`${label}: ${withUnit(value, unit)} (${share(part)})`}</title></path>`)}
      ${hasLabels && drawn.filter(({ part }) => part >= 0.08).map(({ part, middle }) => html`<text class="pie-label" x=${at(middle, 37)[0]} y=${at(middle, 37)[1]}>${share(part)}</text>`)}
      ${isDonut && html`<${Total} value=${total} unit=${parts[0].unit} />`}
    </svg>
    <ul class="pie-legend">${drawn.map(({ label, value, unit, colour, part }) => html`<li>
      <span class="pie-mark" style=${{ background: colour }}></span><span class="pie-name" title=${label}>${label}</span>
      <span class="num quiet">${withUnit(value, unit)}</span><span class="num">${share(part)}</span>
    </li>`)}</ul>
  </div>`;
}

// Small enough for the hole, which is 54 wide.
function Total({ value, unit }) {
  const [number, word] = inParts(value, unit);
  return html`<text class="pie-total" x="0" y=${word ? -3 : 0} style=${{ fontSize: `${Math.min(13, 76 / number.length).toFixed(1)}px` }}>${number}</text>
    ${word && html`<text class="pie-word" x="0" y="7" style=${{ fontSize: `${Math.min(6.5, 76 / word.length).toFixed(1)}px` }}>${word}</text>`}`;
}

const at = (turn, radius) => [Math.sin(turn * 2 * Math.PI) * radius, -Math.cos(turn * 2 * Math.PI) * radius].map((value) => value.toFixed(2));

// A whole circle is two halves: an arc that ends where it begins is none.
function wedge(from, to, hole) {
  if (to - from > 0.9999) return `${circle(46)}${hole ? circle(hole) : ""}`;
  const isLarge = to - from > 0.5 ? 1 : 0;
  const outer = `M${at(from, 46)}A46 46 0 ${isLarge} 1 ${at(to, 46)}`;
  return hole ? `${outer}L${at(to, hole)}A${hole} ${hole} 0 ${isLarge} 0 ${at(from, hole)}Z` : `${outer}L0 0Z`;
}

const circle = (radius) => `M0 ${-radius}A${radius} ${radius} 0 1 1 0 ${radius}A${radius} ${radius} 0 1 1 0 ${-radius}Z`;
