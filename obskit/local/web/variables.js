// The inputs above a dashboard: variables that its queries name, and filters pinned to it; chosen values are in the address.
import { html, useEffect, useRef } from "./html.js";
import { get } from "./api.js";
import { api } from "./urls.js";
import { place, project, setParameters } from "./state.js";
import { useData } from "./data.js";
import { Icon } from "./icons.js";

const ALL = "*";

/** Return a dashboard's filters, each with its name, its parameter in the address, and the chosen values: none means any. */
export function filtersOf({ dashboardFilters = [] }) {
  return dashboardFilters.map((filter) => {
    const { templateVariable, labelKey } = filter;
    const parameter = templateVariable ? `var.${templateVariable}` : `label.${labelKey}`;
    const chosen = place.value.search.getAll(parameter);
    const values = (chosen.length ? chosen : startOf(filter)).filter(Boolean);
    return { ...filter, name: templateVariable ? `$${templateVariable}` : labelKey || "group", parameter, values: values.includes(ALL) ? [] : values };
  });
}

const startOf = ({ stringValue, stringArrayValue }) => (stringArrayValue?.values ?? [stringValue]).filter(Boolean);

function choose(filter, values) {
  const start = startOf(filter);
  const isStart = values.length === start.length && values.every((each, at) => each === start[at]);
  // Any value stands in the address only where the dashboard begins with another one.
  setParameters({ [filter.parameter]: isStart ? [] : values.length ? values : [ALL] });
}

/** Whether a widget is to be seen, by the value that a variable has. */
export function isShown({ visibilityCondition }, filters) {
  const { templateVariable, templateVariableValue = "" } = visibilityCondition?.templateVariableCondition ?? {};
  const filter = templateVariable && filters.find((each) => each.templateVariable === templateVariable);
  if (!filter || !filter.values.length) return true;
  try {
    const pattern = new RegExp(`^(?:${templateVariableValue})$`, "u");
    return filter.values.some((value) => pattern.test(value));
  } catch {
    return true; // a pattern that only RE2 knows hides nothing here
  }
}

export function VariableBar({ filters, children }) {
  return html`<form class="filters variables" aria-label="Variables and filters" onSubmit=${(event) => event.preventDefault()}>
    ${filters.map((filter) => html`<${Input} key=${filter.parameter} filter=${filter} />`)}
    ${children}
  </form>`;
}

/** The input of one variable or filter. */
export function Input({ filter }) {
  const { labelKey, filterType, stringArray, valueType } = filter;
  const given = stringArray?.values ?? [];
  const isLabel = filterType !== "VALUE_ONLY" && filterType !== "GROUP" && labelKey;
  const asked = isLabel && !given.length ? labelKey.replaceAll(/\W/g, "_") : null;
  const answer = useData(asked && `values of ${asked}`, (signal) => get(api.prometheus(project(), `label/${asked}/values`, {}), signal));
  const found = given.length ? given : answer.data?.data ?? [];
  const choices = [...new Set([...startOf(filter), ...filter.values, ...found])];
  const hasChoices = choices.length > 0 && found.length > 0;
  if (filterType === "GROUP") return html`<label><span>${filter.name}</span><input type="text" disabled placeholder="groups are not known here" /></label>`;
  if (!hasChoices) return html`<${Typed} filter=${filter} />`;
  return valueType === "STRING_ARRAY" ? html`<${Several} filter=${filter} choices=${choices} />` : html`<${One} filter=${filter} choices=${choices} hasAny=${isLabel} />`;
}

function Typed({ filter }) {
  const isSeveral = filter.valueType === "STRING_ARRAY";
  const read = (text) => (isSeveral ? text.split(",") : [text]).map((each) => each.trim()).filter(Boolean);
  return html`<label>
    <span>${filter.name}</span>
    <input type="text" value=${filter.values.join(", ")} placeholder=${isSeveral ? "any; several with commas" : "any"} spellcheck=${false} autocomplete="off"
      onChange=${(event) => choose(filter, read(event.target.value))} />
  </label>`;
}

function One({ filter, choices, hasAny }) {
  return html`<label>
    <span>${filter.name}</span>
    <select value=${filter.values[0] ?? ""} onChange=${(event) => choose(filter, [event.target.value].filter(Boolean))}>
      ${(hasAny || !filter.values.length) && html`<option value="">any</option>`}
      ${choices.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}
    </select>
  </label>`;
}

function Several({ filter, choices }) {
  const root = useRef(null);
  const { values } = filter;
  const toggle = (each) => choose(filter, values.includes(each) ? values.filter((other) => other !== each) : [...values, each]);
  const shut = () => (root.current.open = false);
  useEffect(() => {
    const outside = (event) => root.current?.open && !root.current.contains(event.target) && shut();
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, []);
  const onKey = (event) => {
    if (event.key !== "Escape" || !root.current.open) return;
    shut();
    root.current.querySelector("summary").focus();
  };
  return html`<div class="several-field">
    <span id=${`${filter.parameter}-name`}>${filter.name}</span>
    <details class="several" ref=${root} onKeyDown=${onKey}>
      <summary aria-labelledby=${`${filter.parameter}-name ${filter.parameter}-value`}><span id=${`${filter.parameter}-value`}>${values.length ? values.join(", ") : "any"}</span><${Icon} name="chevron" /></summary>
      <div class="several-choices" role="group" aria-label=${filter.name}>
        <button type="button" class="plain several-any" disabled=${!values.length} onClick=${() => choose(filter, [])}>any value</button>
        ${choices.map((each) => html`<label key=${each}><input type="checkbox" checked=${values.includes(each)} onChange=${() => toggle(each)} /><span>${each}</span></label>`)}
      </div>
    </details>
  </div>`;
}
