// The dashboards that the API holds.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page, lastPart } from "../urls.js";
import { project } from "../state.js";
import { useData } from "../data.js";
import { Page, Answer, Empty, Chip } from "../parts.js";
import { tilesOf } from "../layout.js";
import { counted } from "../format.js";

const managedBy = (dashboard) => Object.entries(dashboard.labels ?? {}).find(([key]) => /managed/.test(key))?.[1];

export function Dashboards() {
  const answer = useData("dashboards", (signal) => get(api.dashboards(project()), signal), { kinds: ["objects"] });
  return html`<${Page} title="Dashboards" lead="As the dashboards API holds them, rendered from the JSON that Google Cloud would get">
    <${Answer} of=${answer} isEmpty=${({ dashboards }) => !dashboards?.length}
      empty=${html`<${Empty} title="No dashboard yet">Write one in <code>dashboards/*.py</code> and run <code>obskit sync-dashboards</code>.</${Empty}>`}>
      ${({ dashboards }) => html`<ul class="cards">
        ${dashboards.map((dashboard) => html`<li key=${dashboard.name}><${Card} dashboard=${dashboard} /></li>`)}
      </ul>`}
    </${Answer}>
  </${Page}>`;
}

function Card({ dashboard }) {
  const tiles = tilesOf(dashboard);
  return html`<a class="card" href=${page.dashboard(lastPart(dashboard.name))}>
    <${Miniature} tiles=${tiles} />
    <span class="card-title">${dashboard.displayName}</span>
    <span class="card-meta"><span>${counted(tiles.length, "tile")}</span>${managedBy(dashboard) && html`<${Chip}>${managedBy(dashboard)}</${Chip}>`}</span>
  </a>`;
}

const KIND = { xyChart: "m-chart", alertChart: "m-chart", treemap: "m-chart", pieChart: "m-chart", scorecard: "m-number", incidentList: "m-list", logsPanel: "m-list", errorReportingPanel: "m-list", timeSeriesTable: "m-list" };

// The layout in small: what one will see there.
function Miniature({ tiles }) {
  const shown = tiles.filter(({ y, widget }) => y < 48 && !widget.collapsibleGroup);
  return html`<svg class="miniature" viewBox="0 0 96 56" preserveAspectRatio="xMidYMin slice" aria-hidden="true">
    ${shown.map(({ x, y, width, height, widget }) => {
      const kind = Object.keys(KIND).find((name) => widget[name]);
      return html`<rect class=${KIND[kind] ?? "m-other"} x=${x * 2 + 0.6} y=${y * 1.2 + 0.6} width=${Math.max(0.5, width * 2 - 1.2)} height=${Math.max(0.5, height * 1.2 - 1.2)} rx="1" />`;
    })}
  </svg>`;
}
