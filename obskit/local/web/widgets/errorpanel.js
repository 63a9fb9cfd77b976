// The `errorReportingPanel` widget: the groups of errors of some services, the most frequent first.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { shownTime } from "../state.js";
import { useData } from "../data.js";
import { Ago, Answer, Empty } from "../parts.js";
import { Sparkline } from "../sparkline.js";
import { count, counted } from "../format.js";

export function ErrorReportingPanel({ of, isVisible, range }) {
  const { services = [], versions = [] } = of;
  const time = shownTime(range);
  const answer = useData(JSON.stringify(["errors", time.key, services, versions]), (signal) => {
    const { start_ms, end_ms } = shownTime(range);
    return get(api.errorsWithin({ start_ms: Math.floor(start_ms), end_ms: Math.ceil(end_ms), services, versions }), signal);
  }, { kinds: ["errors"], gapMs: 2000, isPaused: !isVisible });
  const about = [...services, ...versions.map((each) => `version ${each}`)].join(", ");
  return html`<div class="widget-scroll">
    <${Answer} of=${answer} what="These errors could not be read" lines=${3} isEmpty=${({ groups }) => !groups.length}
      empty=${html`<${Empty} title="No error in this time">${about && `of ${about}`}</${Empty}>`}>
      ${({ groups }) => html`<ul class="error-rows" aria-label="Errors">${groups.map((group) => html`<li key=${group.id}><${Row} group=${group} /></li>`)}</ul>`}
    </${Answer}>
  </div>`;
}

function Row({ group }) {
  const { id, type, message, service, count: events, affected_users, last_ms, counts } = group;
  return html`<a class="error-row" href=${page.error(id)}>
    <span class="error-row-name"><strong>${type}</strong> <span class="quiet">${service}</span></span>
    <span class="error-row-spark"><${Sparkline} values=${counts} kind="bar" tone="bad" /></span>
    <span class="error-row-count num">${count(events)}×</span>
    <span class="error-row-message quiet">${message}</span>
    <span class="error-row-when quiet num">${affected_users > 0 ? `${counted(affected_users, "user")} · ` : ""}<${Ago} ms=${last_ms} /></span>
  </a>`;
}
