// Filter fields whose values live in the address.
import { html, useEffect, useRef } from "./html.js";
import { place, setParameters } from "./state.js";

export const parameter = (name) => place.value.search.get(name) ?? "";

/** A text field that writes its parameter a moment after the last key. */
export function TextFilter({ name, label, placeholder, kind = "search", isWide }) {
  const timer = useRef(null);
  useEffect(() => () => clearTimeout(timer.current), []);
  const write = (value, wait) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setParameters({ [name]: value.trim() }), wait);
  };
  return html`<label class=${isWide ? "is-wide" : ""}>
    <span>${label}</span>
    <input type=${kind} value=${parameter(name)} placeholder=${placeholder} min=${kind === "number" ? 0 : undefined} spellcheck=${false} autocomplete="off"
      onInput=${(event) => write(event.target.value, 300)} onChange=${(event) => write(event.target.value, 0)} />
  </label>`;
}

export function ChoiceFilter({ name, label, choices, all = "all" }) {
  const value = parameter(name);
  const known = value && !choices.includes(value) ? [value, ...choices] : choices;
  return html`<label>
    <span>${label}</span>
    <select value=${value} onChange=${(event) => setParameters({ [name]: event.target.value })}>
      <option value="">${all}</option>
      ${known.map((choice) => html`<option key=${choice} value=${choice}>${choice}</option>`)}
    </select>
  </label>`;
}

export function SwitchFilter({ name, label }) {
  return html`<label class="switch">
    <input type="checkbox" checked=${parameter(name) === "1"} onChange=${(event) => setParameters({ [name]: event.target.checked ? "1" : "" })} />
    <span>${label}</span>
  </label>`;
}

export const Filters = ({ children }) => html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>${children}</form>`;
