// Every address of the UI and of the API, and nothing else spells one.

const part = encodeURIComponent;

function query(parameters) {
  const pairs = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

/** Addresses of pages. */
export const page = {
  overview: () => "/",
  dashboards: () => "/dashboards",
  dashboard: (id) => `/dashboards/${part(id)}`,
  traces: (filters = {}) => `/traces${query(filters)}`,
  trace: (id, span) => `/traces/${part(id)}${span ? `#${part(span)}` : ""}`,
  logs: (filters = {}) => `/logs${query(filters)}`,
  errors: () => "/errors",
  error: (id) => `/errors/${part(id)}`,
  alerts: () => "/alerts",
  incidents: (filters = {}) => `/incidents${query(filters)}`,
  incident: (id) => `/incidents/${part(id)}`,
  inbox: () => "/inbox",
  llm: () => "/llm",
};

/** Addresses of services. */
export const api = {
  info: () => "/api/info",
  live: () => "/api/live",
  overview: (seconds) => `/api/overview${query({ window_s: seconds })}`,
  dashboards: (project) => `/v1/projects/${part(project)}/dashboards`,
  dashboard: (project, id) => `/v1/projects/${part(project)}/dashboards/${part(id)}`,
  prometheus: (project, service, parameters) =>
    `/v1/projects/${part(project)}/location/global/prometheus/api/v1/${service}${query(parameters)}`,
  timeSeries: () => "/api/timeseries",
  promql: () => "/api/promql",
  traces: (filters) => `/api/traces${query(filters)}`,
  trace: (id) => `/api/traces/${part(id)}`,
  logs: (filters) => `/api/logs${query(filters)}`,
  errors: () => "/api/errors",
  errorsWithin: ({ start_ms, end_ms, services, versions }) => {
    const pairs = [["start_ms", start_ms], ["end_ms", end_ms], ...services.map((each) => ["service", each]), ...versions.map((each) => ["version", each])];
    return `/api/errors-panel?${new URLSearchParams(pairs)}`;
  },
  error: (id) => `/api/errors/${part(id)}`,
  policies: () => "/api/policies",
  policy: (project, id) => `/v3/projects/${part(project)}/alertPolicies/${part(id)}`,
  incidents: (state) => `/api/incidents${query({ state })}`,
  incident: (id) => `/api/incidents/${part(id)}`,
  notifications: () => "/api/notifications",
  llm: (seconds) => `/api/llm${query({ window_s: seconds })}`,
};

const ROUTES = [
  ["overview", /^\/$/],
  ["dashboards", /^\/dashboards\/?$/],
  ["dashboard", /^\/dashboards\/([^/]+)$/],
  ["traces", /^\/traces\/?$/],
  ["trace", /^\/traces\/([^/]+)$/],
  ["logs", /^\/logs\/?$/],
  ["errors", /^\/errors\/?$/],
  ["error", /^\/errors\/([^/]+)$/],
  ["alerts", /^\/alerts\/?$/],
  ["incidents", /^\/incidents\/?$/],
  ["incident", /^\/incidents\/([^/]+)$/],
  ["inbox", /^\/inbox\/?$/],
  ["llm", /^\/llm\/?$/],
];

/** Return {name, id} of the page at a path, or null. */
export function match(path) {
  for (const [name, pattern] of ROUTES) {
    const found = pattern.exec(path);
    if (found) return { name, id: found[1] === undefined ? undefined : decode(found[1]) };
  }
  return null;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Return the address if it is plain http(s), else null: telemetry may hold any text. */
export function safeLink(text) {
  try {
    const url = new URL(String(text));
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

/** The last part of a resource name such as projects/P/dashboards/ID. */
export const lastPart = (name) => String(name ?? "").split("/").pop();
