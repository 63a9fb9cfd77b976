// The `filterControl` widget: the input of a variable, in the midst of the dashboard.
import { html } from "../html.js";
import { Empty } from "../parts.js";
import { Input } from "../variables.js";

export function FilterControl({ of, filters }) {
  const filter = (filters ?? []).find(({ templateVariable }) => templateVariable === of.templateVariable);
  if (!filter) return html`<${Empty} title=${`The dashboard has no variable ${of.templateVariable || "without a name"}`} />`;
  return html`<form class="filters control" onSubmit=${(event) => event.preventDefault()}><${Input} filter=${filter} /></form>`;
}
