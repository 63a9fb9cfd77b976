// A dashboard's layout → blocks of placed tiles.
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { isShown } from "./variables.js";
import { Widget } from "./widgets/widget.js";

const UNITS = 48; // all layouts are laid out on Cloud Monitoring's finest grid
const ROW_PX = 18;

/** Return [{x, y, width, height, widget}] in units of a 48-column grid. */
export function tilesOf(dashboard) {
  if (dashboard.mosaicLayout) return mosaic(dashboard.mosaicLayout);
  if (dashboard.gridLayout) return grid(dashboard.gridLayout);
  if (dashboard.rowLayout) return rows(dashboard.rowLayout);
  if (dashboard.columnLayout) return columns(dashboard.columnLayout);
  return [];
}

function mosaic({ columns: wide, tiles = [] }) {
  const unit = UNITS / (wide || UNITS);
  return tiles.map((tile) => ({
    x: (tile.xPos ?? 0) * unit,
    y: (tile.yPos ?? 0) * unit,
    width: Math.max(1, (tile.width ?? 1) * unit),
    height: Math.max(1, (tile.height ?? 1) * unit),
    widget: tile.widget ?? {},
  }));
}

function grid({ columns: wide, widgets = [] }) {
  const many = Math.max(1, Number(wide) || Math.ceil(Math.sqrt(widgets.length)));
  const width = UNITS / many;
  return widgets.map((widget, at) => ({ x: (at % many) * width, y: Math.floor(at / many) * 16, width, height: 16, widget }));
}

function rows({ rows: all = [] }) {
  return all.flatMap(({ widgets = [] }, line) => {
    const width = UNITS / Math.max(1, widgets.length);
    return widgets.map((widget, at) => ({ x: at * width, y: line * 16, width, height: 16, widget }));
  });
}

function columns({ columns: all = [] }) {
  const weights = all.map(({ weight }) => Number(weight) || 1);
  const total = weights.reduce((sum, each) => sum + each, 0);
  let x = 0;
  return all.flatMap(({ widgets = [] }, at) => {
    const width = (weights[at] / total) * UNITS;
    const placed = widgets.map((widget, line) => ({ x, y: line * 16, width, height: 16, widget }));
    x += width;
    return placed;
  });
}

const isGroup = ({ widget }) => Boolean(widget.collapsibleGroup);
const isInside = (tile, group) => tile !== group && tile.y >= group.y && tile.y + tile.height <= group.y + group.height && tile.x >= group.x && tile.x + tile.width <= group.x + group.width + 0.01;

// The tiles that lie in a `singleViewGroup` are its choices, of which one shows.
function fold(tiles) {
  const taken = new Set();
  const folded = new Map();
  for (const tile of tiles.filter(({ widget }) => widget.singleViewGroup)) {
    const choices = tiles.filter((other) => !other.widget.singleViewGroup && isInside(other, tile));
    choices.forEach((choice) => taken.add(choice));
    if (choices.length) folded.set(tile, { ...tile, choices: choices.map(({ widget }) => widget) });
  }
  return tiles.filter((tile) => !taken.has(tile)).map((tile) => folded.get(tile) ?? tile);
}

/** Leave out tiles that a variable hides, and the rows in which nothing else stands. */
export function shownOf(tiles, filters) {
  const shown = tiles.filter(({ widget }) => isShown(widget, filters));
  const hidden = tiles.filter(({ widget }) => !isShown(widget, filters));
  const isFlat = ({ widget }) => !isGroup({ widget }); // a group reaches over rows that its tiles leave
  const rowsOf = ({ y, height }) => Array.from({ length: Math.round(height) }, (_, at) => Math.round(y) + at);
  const taken = new Set(shown.filter(isFlat).flatMap(rowsOf));
  const free = [...new Set(hidden.flatMap(rowsOf))].filter((row) => !taken.has(row));
  const above = (row) => free.filter((each) => each < row).length;
  return shown.map((tile) => ({ ...tile, y: tile.y - above(tile.y), height: Math.max(1, tile.height - (above(tile.y + tile.height) - above(tile.y))) }));
}

/** Return [{group: tile | null, tiles}] from top to bottom; a group's tiles leave the grid when it is shut. */
export function blocksOf(tiles) {
  const groups = fold(tiles).filter(isGroup).sort((a, b) => a.y - b.y);
  let rest = fold(tiles).filter((tile) => !isGroup(tile)).sort((a, b) => a.y - b.y || a.x - b.x);
  const blocks = [];
  for (const group of groups) {
    const members = rest.filter((tile) => isInside(tile, group));
    const above = rest.filter((tile) => !members.includes(tile) && tile.y < group.y);
    if (above.length) blocks.push({ group: null, tiles: above });
    blocks.push({ group, tiles: members });
    rest = rest.filter((tile) => !members.includes(tile) && !above.includes(tile));
  }
  if (rest.length) blocks.push({ group: null, tiles: rest });
  return blocks;
}

function Grid({ tiles, filters }) {
  const top = Math.min(...tiles.map(({ y }) => y));
  const place = ({ x, y, width, height }) => ({
    gridColumn: `${Math.floor(x) + 1} / span ${Math.max(1, Math.min(UNITS - Math.floor(x), Math.round(width)))}`,
    gridRow: `${Math.floor(y - top) + 1} / span ${Math.max(1, Math.round(height))}`,
    "--tile-height": `${Math.max(1, Math.round(height)) * ROW_PX}px`,
  });
  return html`<div class="grid">${tiles.map((tile, at) => html`<div class="grid-cell" key=${at} style=${place(tile)}>
    ${tile.choices ? html`<${Choice} of=${tile} filters=${filters} />` : html`<${Widget} widget=${tile.widget} filters=${filters} />`}
  </div>`)}</div>`;
}

function Choice({ of, filters }) {
  const [at, choose] = useState(0);
  const views = of.choices.map((widget, position) => ({ widget, name: widget.title || `View ${position + 1}` }));
  const label = of.widget.title || "Shown widget";
  const shown = Math.min(at, views.length - 1);
  const isTabbed = of.widget.singleViewGroup.displayType === "TAB";
  return html`<div class="choice" data-kind="singleViewGroup">
    ${of.widget.title && html`<h3 class="tile-title">${of.widget.title}</h3>`}
    ${isTabbed ? html`<${Tabs} views=${views} at=${shown} choose=${choose} label=${label} />` : html`<select aria-label=${label} value=${shown} onChange=${(event) => choose(Number(event.target.value))}>
      ${views.map(({ name }, position) => html`<option key=${position} value=${position}>${name}</option>`)}
    </select>`}
    <${Widget} key=${shown} widget=${views[shown].widget} filters=${filters} />
  </div>`;
}

// As the pattern of tabs asks: one stop of the Tab key, arrows within.
function Tabs({ views, at, choose, label }) {
  const move = (event) => {
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: views.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = (to + views.length) % views.length;
    choose(next);
    event.currentTarget.children[next].focus();
  };
  return html`<div class="tabs" role="tablist" aria-label=${label} onKeyDown=${move}>
    ${views.map(({ name }, position) => html`<button type="button" role="tab" key=${position} aria-selected=${position === at ? "true" : "false"} tabindex=${position === at ? 0 : -1} onClick=${() => choose(position)}>${name}</button>`)}
  </div>`;
}

function Group({ group, tiles, filters }) {
  const [isOpen, setOpen] = useState(!group.widget.collapsibleGroup.collapsed);
  return html`<section class="group" data-kind="collapsibleGroup">
    <h2><button type="button" class="group-head" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name="chevron" /><span>${group.widget.title || "Group"}</span><span class="quiet num">${tiles.length}</span>
    </button></h2>
    ${isOpen && tiles.length > 0 && html`<${Grid} tiles=${tiles} filters=${filters} />`}
  </section>`;
}

export function Layout({ dashboard, filters }) {
  return blocksOf(shownOf(tilesOf(dashboard), filters)).map((block, at) => (block.group
    ? html`<${Group} key=${`group-${at}`} group=${block.group} tiles=${block.tiles} filters=${filters} />`
    : html`<${Grid} key=${`grid-${at}`} tiles=${block.tiles} filters=${filters} />`));
}
