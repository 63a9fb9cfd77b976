// What stands in a dashboard's texts for a value: variables of its filters, labels of a series.

/** Return the query with the dashboard's filter variables and Cloud Monitoring's interval filled in. */
export function fillQuery(text, filters, step_ms) {
  let filled = String(text ?? "").replaceAll(/\$\{?__(?:rate_)?interval\}?/g, `${Math.max(60, Math.round((step_ms * 2) / 1000))}s`);
  for (const { templateVariable: name, labelKey, stringValue, value } of filters ?? []) {
    if (!name) continue;
    const chosen = value ?? stringValue ?? "";
    const matcher = chosen ? `${labelKey}="${chosen.replaceAll(/["\\]/g, "\\$&")}"` : `${labelKey}=~".*"`;
    filled = filled.replaceAll(`\${${name}.value}`, chosen || ".*").replaceAll(`\${${name}}`, matcher);
    filled = filled.replaceAll(new RegExp(`\\$${name}\\b`, "g"), () => matcher);
  }
  return filled;
}

const QUIET = new Set(["__name__", "project_id", "monitored_resource", "location", "namespace", "task_id", "cluster", "le"]);

/** Return the name of a series: the legend template filled in, or the labels in which it differs. */
export function seriesName(template, { labels, name }, position) {
  if (template) {
    const filled = template.replaceAll(/\$\{([^}]+)\}/g, (_, path) => labelAt(labels, path)).trim();
    if (filled) return filled;
  }
  const own = Object.entries(labels ?? {}).filter(([key]) => !QUIET.has(key));
  if (own.length) return own.map(([, value]) => value).join(" · ");
  return name || labels?.__name__ || `series ${position + 1}`;
}

function labelAt(labels, path) {
  const bare = path.replace(/^(labels|metric\.labels?|resource\.labels?|metadata\.(?:user|system)_labels)\./, "");
  const tries = [path, bare, `metric.labels.${bare}`, `resource.labels.${bare}`, `metric.label.${bare}`, `resource.label.${bare}`, bare.replaceAll(".", "_")];
  for (const key of tries) if (labels && Object.hasOwn(labels, key)) return labels[key];
  return "";
}
