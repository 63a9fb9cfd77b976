// Error groups.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty, Table, Chip, Ago, Time } from "../parts.js";
import { count } from "../format.js";

export function Errors() {
  const answer = useData("errors", (signal) => get(api.errors(), signal), { kinds: ["errors"] });
  return html`<${Page} title="Errors" lead="Grouped by exception type and top frames, as Error Reporting does">
    <${Panel} flush>
      <${Answer} of=${answer} lines=${8} isEmpty=${({ groups }) => !groups.length} empty=${html`<${Empty} title="No error reported">Unhandled exceptions and obskit.report_error() come here.</${Empty}>`}>
        ${({ groups }) => html`<${Table} caption="Error groups" columns=${COLUMNS} rows=${groups} id=${(row) => row.id} href=${(row) => page.error(row.id)} />`}
      </${Answer}>
    </${Panel}>
  </${Page}>`;
}

const COLUMNS = [
  { name: "error", label: "Error", isWide: true, show: (row) => html`<span class="error-name"><strong>${row.type}</strong><span class="error-message">${row.message}</span></span>` },
  { name: "service", label: "Service", show: (row) => html`<${Chip}>${row.service}</${Chip}>` },
  { name: "count", label: "Count", isNumber: true, show: (row) => count(row.count) },
  { name: "users", label: "Users", isNumber: true, show: (row) => count(row.affected_users) },
  { name: "first", label: "First", isNumber: true, show: (row) => html`<${Time} ms=${row.first_ms} />` },
  { name: "last", label: "Last", isNumber: true, show: (row) => html`<${Ago} ms=${row.last_ms} />` },
];
