// Log entries as dense rows that open to their fields.
import { html, useState } from "./html.js";
import { page } from "./urls.js";
import { Icon } from "./icons.js";
import { Json, Severity, Time, severityTone } from "./parts.js";
import { duration } from "./format.js";

export function LogRows({ entries, hasTraceLink = true }) {
  return html`<ol class=${`logrows ${entries.some(({ service }) => service) ? "" : "is-nameless"}`}>${entries.map((entry) => html`<${LogRow} key=${entry.id} entry=${entry} hasTraceLink=${hasTraceLink} />`)}</ol>`;
}

function LogRow({ entry, hasTraceLink }) {
  const [isOpen, setOpen] = useState(false);
  const { time_ms, severity, service, message, trace_id, span_id, http } = entry;
  return html`<li class=${`logrow ${severityTone(severity)} ${isOpen ? "is-open" : ""}`}>
    <button type="button" class="logrow-head" aria-expanded=${isOpen ? "true" : "false"} onClick=${() => setOpen(!isOpen)}>
      <${Icon} name="chevron" />
      <${Time} ms=${time_ms} />
      <${Severity} of=${severity} />
      <span class="logrow-service">${service}</span>
      <span class="logrow-message">${message || (http ? `${http.method} ${http.url}` : "(no message)")}</span>
      ${http && html`<span class="logrow-http num">${http.status ?? ""}${http.latency_ms > 0 ? ` · ${duration(http.latency_ms)}` : ""}</span>`}
    </button>
    ${isOpen && html`<div class="logrow-more">
      ${hasTraceLink && trace_id && html`<p><a href=${page.trace(trace_id, span_id)}>Trace ${trace_id.slice(0, 8)}…</a> <a href=${page.logs({ trace_id })}>All logs of it</a></p>`}
      <${Json} of=${{ ...entry }} />
    </div>`}
  </li>`;
}
