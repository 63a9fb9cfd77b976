// One tile of a dashboard: its title and the widget of its kind.
import { html, useErrorBoundary } from "../html.js";
import { useVisible } from "../data.js";
import { Problem, Chip } from "../parts.js";
import { dayAndTime, duration } from "../format.js";
import { XyChart } from "./chart.js";
import { Scorecard } from "./scorecard.js";
import { Text, SectionHeader } from "./text.js";
import { LogsPanel } from "./logs.js";
import { IncidentList } from "./incidents.js";
import { PieChart } from "./pie.js";
import { TimeSeriesTable } from "./table.js";
import { Treemap } from "./treemap.js";
import { AlertChart } from "./alertchart.js";
import { ErrorReportingPanel } from "./errorpanel.js";
import { FilterControl } from "./control.js";
import { Unshown } from "./other.js";

const KINDS = {
  xyChart: XyChart, scorecard: Scorecard, text: Text, logsPanel: LogsPanel, incidentList: IncidentList, pieChart: PieChart,
  timeSeriesTable: TimeSeriesTable, treemap: Treemap, alertChart: AlertChart, errorReportingPanel: ErrorReportingPanel, filterControl: FilterControl,
};
// An empty place needs no frame; a single view group or collapsible group is drawn by the layout, unless nothing is in it.
const EMPTY = new Set(["blank", "singleViewGroup", "collapsibleGroup"]);
const NOT_KINDS = new Set(["title", "id", "visibilityCondition", "timeRange"]);

export const kindOf = (widget) => Object.keys(widget ?? {}).find((key) => !NOT_KINDS.has(key) && widget[key] !== null && typeof widget[key] === "object");

export function Widget({ widget, filters }) {
  const [reference, isVisible] = useVisible();
  const kind = kindOf(widget);
  const Kind = KINDS[kind];
  const isLabel = kind === "text" && !widget.text.content?.trim() && widget.title; // a heading between charts
  if (kind === "sectionHeader" || isLabel) {
    return html`<div class="tile bare" data-kind=${kind} ref=${reference}><${SectionHeader} of=${isLabel ? {} : widget[kind]} title=${widget.title} /></div>`;
  }
  if (EMPTY.has(kind)) return html`<div class="tile bare" data-kind=${kind} ref=${reference}>${widget.title && html`<h3 class="tile-title">${widget.title}</h3>`}</div>`;
  return html`<section class=${`tile tile-${kind in KINDS ? kind : "other"}`} data-kind=${kind} ref=${reference} style=${kind === "text" ? ground(widget.text.style) : undefined}>
    ${(widget.title || widget.timeRange) && html`<header class="tile-head">
      <h3 class="tile-title" title=${widget.title}>${widget.title}</h3>
      ${widget.timeRange && html`<${Chip} title="This widget's own time">${rangeName(widget.timeRange)}</${Chip}>`}
    </header>`}
    <div class="tile-body"><${Safe}>
      ${Kind
        ? html`<${Kind} of=${widget[kind]} title=${widget.title ?? ""} filters=${filters} isVisible=${isVisible} range=${widget.timeRange} />`
        : html`<${Unshown} kind=${kind ?? "empty widget"} why=${kind === undefined ? "This tile holds no widget." : undefined} />`}
    </${Safe}></div>
  </section>`;
}

function rangeName({ relativeDuration, absoluteWindow }) {
  if (parseFloat(relativeDuration) > 0) return `last ${duration(parseFloat(relativeDuration) * 1000)}`;
  const [start, end] = [Date.parse(absoluteWindow?.startTime), Date.parse(absoluteWindow?.endTime)];
  return end > start ? `${dayAndTime(start)} – ${dayAndTime(end)}` : "own time";
}

const HEX = /^#[0-9a-f]{3,8}$/i;

// The ground that a text's style wants, with an ink that can be read on it in either theme.
function ground(style) {
  if (!HEX.test(style?.backgroundColor ?? "")) return undefined;
  return { backgroundColor: style.backgroundColor, color: HEX.test(style.textColor ?? "") ? style.textColor : inkOn(style.backgroundColor) };
}

function inkOn(background) {
  const full = background.length < 6 ? background.replaceAll(/[0-9a-f]/gi, "$&$&") : background;
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(full.slice(at, at + 2), 16));
  return red * 0.299 + green * 0.587 + blue * 0.114 > 140 ? "#14201d" : "#ffffff";
}

// One odd widget must not take the dashboard with it.
function Safe({ children }) {
  const [error] = useErrorBoundary((problem) => console.error(problem));
  return error ? html`<${Problem} error=${error} what="This widget could not be drawn" />` : children;
}
