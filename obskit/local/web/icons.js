// Small line drawings, 16 by 16.
import { html } from "./html.js";

const PATHS = {
  overview: "M2 9.5h3l2-6 3 9 1.7-4.5H14",
  dashboards: "M2.5 2.5h5v6h-5zM9.5 2.5h4v4h-4zM9.5 8.5h4v5h-4zM2.5 10.5h5v3h-5z",
  traces: "M2 3.5h8M4.5 8h7M8 12.5h6",
  logs: "M2.5 3.5h11M2.5 6.5h8M2.5 9.5h11M2.5 12.5h6",
  errors: "M8 2.2 14.3 13.300H1.700zM8 6.5v3M8 11.200v.3",
  alerts: "M8 2.200a4 4 0 0 0-4 4c0 3.3-1.5 4.6-1.5 4.600h11S12 9.5 12 6.200a4 4 0 0 0-4-4zM6.7 13.300a1.5 1.5 0 0 0 2.6 0",
  inbox: "M2.5 9.5 4.3 3h7.400l1.8 6.5v3.5h-11zM2.5 9.5h3.300c.3 1.3 1.1 2 2.2 2s1.9-.7 2.2-2h3.3",
  llm: "M8 1.8 9.5 6.5 14.2 8 9.5 9.5 8 14.2 6.5 9.5 1.8 8 6.5 6.5z",
  sun: "M8 5.200a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.600zM8 1.5v1.5M8 13v1.5M1.5 8H3M13 8h1.5M3.4 3.400l1 1M11.6 11.600l1 1M12.6 3.400l-1 1M4.4 11.600l-1 1",
  moon: "M13 9.800A5.6 5.6 0 0 1 6.2 3 5.6 5.6 0 1 0 13 9.800z",
  menu: "M2.5 4.5h11M2.5 8h11M2.5 11.5h11",
  close: "M4 4l8 8M12 4l-8 8",
  play: "M5 3.5v9l7-4.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  chevron: "M6 4l4 4-4 4",
  check: "M3 8.5l3.2 3L13 4.5",
  search: "M7 2.800a4.2 4.2 0 1 0 0 8.4 4.2 4.2 0 0 0 0-8.400zM10.2 10.200l3.3 3.3",
  clock: "M8 2.200a5.8 5.8 0 1 0 0 11.600A5.8 5.8 0 0 0 8 2.200zM8 4.800V8l2.2 1.5",
};

export function Icon({ name, label }) {
  return html`<svg class="icon" viewBox="0 0 16 16" role=${label ? "img" : undefined} aria-label=${label} aria-hidden=${label ? undefined : "true"}>
    <path d=${PATHS[name]} />
  </svg>`;
}
