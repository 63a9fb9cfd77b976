// The `treemap` widget: nested rectangles, each as large as its share of the whole.
import { html, useState } from "../html.js";
import { colour, mix, palette, theme } from "../theme.js";
import { Answer, Empty } from "../parts.js";
import { source, unsupported } from "../queries.js";
import { share, withUnit } from "../format.js";
import { useLatest } from "./latest.js";
import { Unshown } from "./other.js";

const WIDE = 160; // the plane's form: areas are what counts, but squares shall be squares
const TALL = 100;

export function Treemap({ of, title, filters, isVisible, range }) {
  const { answer, sets } = useLatest(of.dataSets, filters, isVisible, range);
  const first = of.dataSets?.[0]?.timeSeriesQuery;
  if (!sets.length) return html`<${Unshown} kind="treemap" why=${unsupported(first)} detail=${source(first)} />`;
  return html`<${Answer} of=${answer} what="This treemap's query failed" lines=${4}
    isEmpty=${(found) => treeOf(found.flat(), of.treemapHierarchy).value <= 0} empty=${html`<${Empty} title="No data" />`}>
    ${(found) => html`<${Plane} tree=${treeOf(found.flat(), of.treemapHierarchy)} title=${title} />`}
  </${Answer}>`;
}

/** Series → {name, value, unit, parts}, one level for each label of the hierarchy; the largest parts first. */
export function treeOf(series, hierarchy = [], name = "") {
  const known = series.filter(({ value }) => value > 0);
  const value = known.reduce((sum, each) => sum + each.value, 0);
  const [path, ...deeper] = hierarchy;
  if (path === undefined) return { name, value, unit: known[0]?.unit, parts: [] };
  const groups = Map.groupBy(known, ({ labels }) => labelOf(labels, path));
  const parts = [...groups].map(([label, own]) => treeOf(own, deeper, label)).sort((a, b) => b.value - a.value);
  return { name, value, unit: known[0]?.unit, parts };
}

function labelOf(labels, path) {
  const bare = path.replace(/^(?:(?:metric|resource)\.(?:labels?\.)?|metadata\.\w+\.|labels\.)/, "");
  const key = [path, bare, bare.replaceAll(".", "_")].find((each) => labels && Object.hasOwn(labels, each));
  return key ? labels[key] || "(empty)" : `no ${bare}`;
}

function Plane({ tree, title }) {
  const [path, open] = useState([]);
  const here = path.reduce((node, name) => node.parts.find((each) => each.name === name) ?? node, tree);
  const colours = theme.value && palette();
  const tint = (at) => mix(colours[at % colours.length], colour("surface"), 0.3);
  return html`<div class="treemap">
    <p class="treemap-path">
      <button type="button" class="plain" disabled=${!path.length} onClick=${() => open([])}>all</button>
      ${path.map((name, at) => html`<span aria-hidden="true">›</span><button type="button" class="plain" disabled=${at === path.length - 1} onClick=${() => open(path.slice(0, at + 1))}>${name}</button>`)}
      <span class="quiet num">${withUnit(here.value, here.unit)}</span>
    </p>
    <ul class="treemap-plane" aria-label=${`${title}: shares of ${withUnit(here.value, here.unit)}`}>
      ${placed(here.parts, WIDE, TALL).map(({ node, ...box }, at) => html`<${Box} key=${node.name} node=${node} box=${box} whole=${tree.value} fill=${tint(at)} line=${colours[at % colours.length]} enter=${() => open([...path, node.name])} />`)}
    </ul>
  </div>`;
}

const percent = ({ x, y, wide, tall }, width, height) => ({ left: `${(x / width) * 100}%`, top: `${(y / height) * 100}%`, width: `${(wide / width) * 100}%`, height: `${(tall / height) * 100}%` });

function Box({ node, box, whole, fill, line, enter }) {
  const text = `${node.name}: ${withUnit(node.value, node.unit)}, ${share(node.value / whole)}`;
  const name = html`<span class="treemap-name">${node.name}</span> <span class="treemap-value num">${withUnit(node.value, node.unit)} · ${share(node.value / whole)}</span>`;
  // What is within a small box cannot be told apart; entering it shows it large.
  const isRoomy = box.wide > 24 && box.tall > 24;
  return html`<li class="treemap-box" style=${{ ...percent(box, WIDE, TALL), backgroundColor: fill, borderColor: line }} title=${text}>
    ${node.parts.length > 0 ? html`<button type="button" class="treemap-head" aria-label=${`${text}; show its parts`} onClick=${enter}>${name}</button>` : html`<span class="treemap-head">${name}</span>`}
    ${isRoomy && node.parts.length > 0 && html`<ul class="treemap-inner">
      ${placed(node.parts, box.wide, box.tall).map(({ node: inner, ...small }) => html`<li class="treemap-leaf" key=${inner.name} style=${{ ...percent(small, box.wide, box.tall), borderColor: line }} title=${`${inner.name}: ${withUnit(inner.value, inner.unit)}, ${share(inner.value / whole)}`}>
        <span class="treemap-name">${inner.name}</span> <span class="num">${withUnit(inner.value, inner.unit)}</span>
      </li>`)}
    </ul>`}
  </li>`;
}

/** Place nodes, the largest first, on a plane: rows along the shorter side, as square as they come (Bruls et al., 2000). */
export function placed(nodes, width, height) {
  const total = nodes.reduce((sum, { value }) => sum + value, 0);
  const rest = nodes.map((node) => ({ node, area: total > 0 ? (node.value / total) * width * height : 0 })).filter(({ area }) => area > 0);
  const out = [];
  let [x, y, wide, tall] = [0, 0, width, height];
  while (rest.length) {
    const side = Math.min(wide, tall);
    const row = [rest.shift()];
    while (rest.length && worst([...row, rest[0]], side) <= worst(row, side)) row.push(rest.shift());
    const thick = row.reduce((sum, { area }) => sum + area, 0) / side;
    let along = 0;
    for (const { node, area } of row) {
      const length = area / thick;
      out.push(wide >= tall ? { node, x, y: y + along, wide: thick, tall: length } : { node, x: x + along, y, wide: length, tall: thick });
      along += length;
    }
    if (wide >= tall) [x, wide] = [x + thick, wide - thick];
    else [y, tall] = [y + thick, tall - thick];
  }
  return out;
}

// The most oblong of a row's rectangles.
function worst(row, side) {
  const sum = row.reduce((all, { area }) => all + area, 0);
  const sizes = row.map(({ area }) => area);
  return Math.max((side ** 2 * Math.max(...sizes)) / sum ** 2, sum ** 2 / (side ** 2 * Math.min(...sizes)));
}
