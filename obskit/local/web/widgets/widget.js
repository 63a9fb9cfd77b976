// One tile of a dashboard: its title and the widget of its kind.
import { html, useErrorBoundary } from "../html.js";
import { useVisible } from "../data.js";
import { Problem } from "../parts.js";
import { XyChart } from "./chart.js";
import { Scorecard } from "./scorecard.js";
import { Text, SectionHeader } from "./text.js";
import { LogsPanel } from "./logs.js";
import { IncidentList } from "./incidents.js";
import { PieChart } from "./pie.js";
import { TimeSeriesTable } from "./table.js";
import { Unshown } from "./other.js";

const KINDS = { xyChart: XyChart, scorecard: Scorecard, text: Text, sectionHeader: SectionHeader, logsPanel: LogsPanel, incidentList: IncidentList, pieChart: PieChart, timeSeriesTable: TimeSeriesTable };
const NOT_KINDS = new Set(["title", "id", "visibilityCondition", "timeRange"]);

export const kindOf = (widget) => Object.keys(widget ?? {}).find((key) => !NOT_KINDS.has(key) && widget[key] !== null && typeof widget[key] === "object");

export function Widget({ widget, filters }) {
  const [reference, isVisible] = useVisible();
  const kind = kindOf(widget);
  const Kind = KINDS[kind];
  const isLabel = kind === "text" && !widget.text.content?.trim() && widget.title; // a heading between charts
  if (isLabel) return html`<div class="tile bare" ref=${reference}><${SectionHeader} of=${{}} title=${widget.title} /></div>`;
  if (kind === "sectionHeader") return html`<div class="tile bare" ref=${reference}><${Kind} of=${widget[kind]} title=${widget.title} /></div>`;
  return html`<section class=${`tile tile-${kind in KINDS ? kind : "other"}`} ref=${reference}>
    ${widget.title && html`<h3 class="tile-title" title=${widget.title}>${widget.title}</h3>`}
    <div class="tile-body"><${Safe}>
      ${Kind
        ? html`<${Kind} of=${widget[kind]} title=${widget.title ?? ""} filters=${filters} isVisible=${isVisible} />`
        : html`<${Unshown} kind=${kind ?? "empty widget"} why=${kind === undefined ? "This tile holds no widget." : undefined} />`}
    </${Safe}></div>
  </section>`;
}

// One odd widget must not take the dashboard with it.
function Safe({ children }) {
  const [error] = useErrorBoundary((problem) => console.error(problem));
  return error ? html`<${Problem} error=${error} what="This widget could not be drawn" />` : children;
}
