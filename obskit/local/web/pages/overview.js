// How the services are, at a glance.
import { html } from "../html.js";
import { get } from "../api.js";
import { api, page } from "../urls.js";
import { shownTime, RANGES, nowMs } from "../state.js";
import { useData } from "../data.js";
import { Page, Panel, Answer, Empty, Ago, Chip } from "../parts.js";
import { Sparkline } from "../sparkline.js";
import { IncidentRows } from "../widgets/incidents.js";
import { compact, count, duration, share, usd, counted } from "../format.js";

export function Overview() {
  const time = shownTime();
  const label = RANGES.find(({ ms }) => ms === time.ms)?.words ?? "shown time";
  const answer = useData(`overview ${time.ms}`, (signal) => get(api.overview(Math.round(time.ms / 1000)), signal), {
    kinds: ["metrics", "traces", "logs", "errors", "incidents", "objects"],
    gapMs: 1500,
  });
  return html`<${Page} title="Overview" lead=${`The last ${label} of every service that sends telemetry here`}>
    <${Answer} of=${answer} lines=${8}>${(data) => html`<${Content} data=${data} window=${label} />`}</${Answer}>
  </${Page}>`;
}

function Content({ data, window }) {
  const { services, counts, incidents, llm } = data;
  const requests = services.reduce((sum, service) => sum + service.requests, 0);
  const failed = services.reduce((sum, service) => sum + service.requests * (service.error_ratio ?? 0), 0);
  const slowest = Math.max(...services.map(({ p95_ms }) => p95_ms ?? -1));
  const open = counts.open_incidents ?? 0;
  return html`
    <div class="figures">
      <${Figure} name="Requests" value=${compact(requests)} note=${counted(services.length, "service")} />
      <${Figure} name="Failed" value=${share(requests ? failed / requests : null)} note="5xx of all requests" tone=${tone(requests ? failed / requests : 0, 0.01, 0.05)} />
      <${Figure} name="p95, slowest" value=${slowest < 0 ? "–" : duration(slowest)} note="of one service" tone=${tone(slowest, 1000, 2000)} />
      <${Figure} name="Open incidents" value=${count(open)} note=${counted(counts.policies ?? 0, "policy").replace("policys", "policies")} tone=${open ? "bad" : "good"} href=${page.alerts()} />
      <${Figure} name="AI cost" value=${usd(llm.cost_usd)} note=${`${compact(llm.input_tokens)} tokens in · ${compact(llm.output_tokens)} out`} href=${page.llm()} />
    </div>
    <${Panel} title="Services" flush>
      ${services.length
        ? html`<div class="services">${services.map((service) => html`<${Service} key=${service.name} service=${service} window=${window} />`)}</div>`
        : html`<${Empty} title="No service has reported yet">Start one with <code>obskit run -- python app.py</code>, or the demo with <code>obskit demo</code>.</${Empty}>`}
    </${Panel}>
    <div class="pair">
      <${Panel} title="Incidents" aside=${html`<a href=${page.incidents()}>All incidents</a>`} flush>
        <${IncidentRows} incidents=${incidents.slice(0, 8)} empty="No incident yet" />
      </${Panel}>
      <${Panel} title="Stored">
        <dl class="tally">
          ${tally("Traces", counts.traces, page.traces())}${tally("Spans", counts.spans)}
          ${tally("Log entries", counts.log_entries, page.logs())}${tally("Errors", counts.errors, page.errors())}
          ${tally("Metric series", counts.series)}${tally("Dashboards", counts.dashboards, page.dashboards())}
          ${tally("Alert policies", counts.policies, page.alerts())}${tally("Unpriced AI calls", llm.unpriced_calls, page.llm())}
        </dl>
      </${Panel}>
    </div>`;
}

const tone = (value, warn, bad) => (value > bad ? "bad" : value > warn ? "warn" : "");

const tally = (name, value, href) => html`<div><dt>${href ? html`<a href=${href}>${name}</a>` : name}</dt><dd class="num">${count(value ?? 0)}</dd></div>`;

function Figure({ name, value, note, tone: toneName = "", href }) {
  const inner = html`<span class="figure-name">${name}</span><span class="figure-value num">${value}</span><span class="figure-note">${note}</span>`;
  return href ? html`<a class=${`figure ${toneName}`} href=${href}>${inner}</a>` : html`<div class=${`figure ${toneName}`}>${inner}</div>`;
}

function Service({ service, window }) {
  const { name, version, requests, error_ratio, p50_ms, p95_ms, p99_ms, last_seen_ms, sparkline } = service;
  const health = error_ratio > 0.05 || p95_ms > 2000 ? "bad" : error_ratio > 0.01 || p95_ms > 1000 ? "warn" : "good";
  return html`<article class="service">
    <header>
      <span class=${`dot ${health}`} aria-hidden="true"></span>
      <h3>${name}</h3>${version && html`<${Chip}>${version}</${Chip}>`}
      <span class="quiet small">${last_seen_ms ? html`${nowMs() - last_seen_ms > 300_000 ? "silent, last seen " : "seen "}<${Ago} ms=${last_seen_ms} />` : ""}</span>
    </header>
    <div class="service-spark"><${Sparkline} values=${sparkline ?? []} kind="line" label=${`Requests of ${name} over the last ${window}`} /></div>
    <dl class="golden">
      <div><dt>Requests</dt><dd class="num">${compact(requests)}</dd></div>
      <div class=${tone(error_ratio, 0.01, 0.05)}><dt>Failed</dt><dd class="num">${share(error_ratio)}</dd></div>
      <div><dt>p50</dt><dd class="num">${duration(p50_ms)}</dd></div>
      <div class=${tone(p95_ms, 1000, 2000)}><dt>p95</dt><dd class="num">${duration(p95_ms)}</dd></div>
      <div><dt>p99</dt><dd class="num">${duration(p99_ms)}</dd></div>
    </dl>
    <footer><a href=${page.traces({ service: name })}>Traces</a><a href=${page.logs({ service: name })}>Logs</a></footer>
  </article>`;
}
