// The `logsPanel` widget.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Answer, Empty } from "../parts.js";
import { LogRows } from "../logrows.js";

export function LogsPanel({ of, isVisible }) {
  const time = shownTime();
  const answer = useData(JSON.stringify(["panel", time.key, of.filter]), (signal) => {
    const { start_ms, end_ms } = shownTime();
    return get(api.logs({ filter: of.filter, start_ms, end_ms, limit: 60 }), signal);
  }, { kinds: ["logs"], gapMs: 2000, isPaused: !isVisible });
  return html`<div class="widget-scroll">
    ${of.filter && html`<p class="widget-note"><code>${of.filter}</code><a href=${page.logs({ filter: of.filter })}>Open in logs</a></p>`}
    <${Answer} of=${answer} what="These logs could not be read" isEmpty=${({ entries }) => !entries.length} empty=${html`<${Empty} title="No log entry in this time" />`}>
      ${({ entries }) => html`<${LogRows} entries=${entries} />`}
    </${Answer}>
  </div>`;
}
