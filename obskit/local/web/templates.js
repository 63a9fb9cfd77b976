// What stands in a dashboard's texts for a value: variables of its filters, labels of a series.

const VARIABLE = /\$\{([A-Za-z_][\w-]*)(\.value)?\}|\$([A-Za-z_]\w*)/g;
const INTERVAL = /\$\{?__(?:rate_)?interval\}?/g;

const quoted = (text) => `"${text.replaceAll(/["\\]/g, "\\$&")}"`;
const escaped = (text) => text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&");

// A name that is no variable of the dashboard stays: `$1` of label_replace, for example.
function filled(text, filters, show) {
  const known = new Map((filters ?? []).filter(({ templateVariable }) => templateVariable).map((each) => [each.templateVariable, each]));
  return String(text ?? "").replaceAll(VARIABLE, (all, braced, isValue, bare) => {
    const filter = known.get(braced ?? bare);
    return filter ? show(filter, Boolean(isValue) || filter.filterType === "VALUE_ONLY") : all;
  });
}

// Several values are a regular expression, which is what queries compare `${name.value}` with; none is any value.
function plainValue({ values, filterType }) {
  if (values.length > 1) return values.map((each) => escaped(each).replaceAll(/["\\]/g, "\\$&")).join("|");
  if (filterType === "VALUE_ONLY") return values[0] ?? "";
  return values.length ? values[0].replaceAll(/["\\]/g, "\\$&") : ".*";
}

const promName = (label) => String(label ?? "").replaceAll(/\W/g, "_");

function promMatcher({ values, labelKey }) {
  const name = promName(labelKey);
  if (!values.length) return `${name}=~".*"`;
  return values.length === 1 ? `${name}=${quoted(values[0])}` : `${name}=~${quoted(values.map(escaped).join("|"))}`;
}

/** Return PromQL with the dashboard's variables and Cloud Monitoring's interval filled in. */
export function fillPromQL(text, filters, step_ms) {
  const plain = String(text ?? "").replaceAll(INTERVAL, `${Math.max(60, Math.round((step_ms * 2) / 1000))}s`);
  return filled(plain, filters, (filter, isValue) => (isValue ? plainValue(filter) : promMatcher(filter)));
}

const SCOPES = { METRIC_LABEL: "metric.labels", USER_METADATA_LABEL: "metadata.user_labels", SYSTEM_METADATA_LABEL: "metadata.system_labels" };
const fieldOf = ({ filterType, labelKey }) => `${SCOPES[filterType] ?? "resource.labels"}.${/^\w+$/.test(labelKey) ? labelKey : quoted(String(labelKey))}`;

/** Return a Monitoring filter with the dashboard's variables filled in. */
export function fillFilter(text, filters) {
  return filled(text, filters, (filter, isValue) => {
    if (isValue) return plainValue(filter);
    if (!filter.values.length) return 'metric.type != "-"'; // true of every series
    const [first] = filter.values;
    return filter.values.length === 1 ? `${fieldOf(filter)} = ${quoted(first)}` : `${fieldOf(filter)} = one_of(${filter.values.map(quoted).join(", ")})`;
  });
}

const anyOf = (filter) => `(${filter.values.map((value) => `${fieldOf(filter)}=${quoted(value)}`).join(" OR ")})`;

/** Return a filter of log entries with the variables filled in, and those pinned filters that it does not say itself. */
export function fillLogs(text, filters) {
  const own = filled(text, filters, (filter, isValue) => {
    if (isValue) return plainValue(filter);
    return filter.values.length ? anyOf(filter) : "severity>=DEFAULT"; // true of every entry
  });
  const more = pinned(filters).filter(({ filterType, labelKey }) => filterType === "RESOURCE_LABEL" && !own.includes(`labels.${labelKey}`)).map(anyOf);
  return [own && more.length ? `(${own})` : own, ...more].filter(Boolean).join(" AND ");
}

/** Return the filters that narrow whatever has their label, instead of being named by queries. */
export const pinned = (filters) => (filters ?? [])
  .filter(({ templateVariable, labelKey, values, filterType }) => !templateVariable && labelKey && values.length && filterType !== "GROUP")
  .map(({ filterType, labelKey, values }) => ({ filterType: filterType ?? "RESOURCE_LABEL", labelKey, values }));

const QUIET = new Set(["__name__", "project_id", "monitored_resource", "location", "namespace", "task_id", "cluster", "le"]);

/** Return the name of a series: the legend template filled in, or the labels in which it differs. */
export function seriesName(template, { labels, name }, position) {
  if (template) {
    const shown = template.replaceAll(/\$\{([^}]+)\}/g, (_, path) => short(labelAt(labels, path))).trim();
    if (shown) return shown;
  }
  const own = Object.entries(labels ?? {}).filter(([key]) => !QUIET.has(key));
  if (own.length) return own.map(([, value]) => short(value)).join(" · ");
  return name || labels?.__name__ || `series ${position + 1}`;
}

// Of a resource's full name, what it is called.
const short = (value) => (/^(?:\/\/[\w.]+\/)?projects\/[^/]+\/\w+\/.+/.test(value) ? value.split("/").at(-1) || value : value);

function labelAt(labels, path) {
  const bare = path.replace(/^(labels|metric\.labels?|resource\.labels?|metadata\.(?:user|system)_labels)\./, "");
  const tries = [path, bare, `metric.labels.${bare}`, `resource.labels.${bare}`, `metric.label.${bare}`, `resource.label.${bare}`, bare.replaceAll(".", "_")];
  for (const key of tries) if (labels && Object.hasOwn(labels, key)) return labels[key];
  return "";
}
