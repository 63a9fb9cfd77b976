// The `logsPanel` widget.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Answer, Empty } from "../parts.js";
import { LogRows } from "../logrows.js";
import { fillLogs } from "../templates.js";

export function LogsPanel({ of, filters, isVisible, range }) {
  const filter = fillLogs(of.filter, filters);
  const time = shownTime(range);
  const answer = useData(JSON.stringify(["panel", time.key, filter]), (signal) => {
    const { start_ms, end_ms } = shownTime(range);
    return get(api.logs({ filter, start_ms, end_ms, limit: 60 }), signal);
  }, { kinds: ["logs"], gapMs: 2000, isPaused: !isVisible });
  return html`<div class="widget-scroll">
    ${filter && html`<p class="widget-note"><code>${filter}</code><a href=${page.logs({ filter })}>Open in logs</a></p>`}
    <${Answer} of=${answer} what="These logs could not be read" isEmpty=${({ entries }) => !entries.length} empty=${html`<${Empty} title="No log entry in this time" />`}>
      ${({ entries }) => html`<${LogRows} entries=${entries} />`}
    </${Answer}>
  </div>`;
}
