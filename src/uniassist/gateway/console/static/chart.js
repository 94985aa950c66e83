// A small chart: one line or two over the last hour, drawn as plain SVG; gaps where nothing was measured.

import { svg } from "./dom.js";

const HOUR_MS = 3_600_000;

class Chart extends HTMLElement {
  /** `given`: { label, series: [[{ at, value }]], now, top } */
  set given(given) {
    const { label, series, now, top } = given;
    const values = series.flat().map((point) => point.value).filter((value) => value !== undefined && value !== null);
    const most = Math.max(top ?? 0, ...values, 1e-9);
    const x = (at) => 100 - ((now - at) / HOUR_MS) * 100;
    const y = (value) => 30 - (value / most) * 28;
    const lines = series.map((points, at) => {
      if (at > 0 && !points.some((point) => point.value > 0)) return null; // nothing failed: no line along the ground
      const parts = pieces(points);
      const line = parts.map((part) => part.map((point, index) => `${index ? "L" : "M"}${x(point.at).toFixed(2)} ${y(point.value).toFixed(2)}`).join("")).join("");
      const area = at === 0 ? parts.map((part) => `M${x(part[0].at).toFixed(2)} 30${part.map((point) => `L${x(point.at).toFixed(2)} ${y(point.value).toFixed(2)}`).join("")}L${x(part.at(-1).at).toFixed(2)} 30Z`).join("") : "";
      return [area && svg("path", { class: "area", d: area }), line && svg("path", { class: `line ${at ? "second" : ""}`, d: line })];
    });
    this.replaceChildren(svg("svg", { viewBox: "0 0 100 31", preserveAspectRatio: "none", role: "img", "aria-label": label },
      svg("line", { class: "base", x1: 0, x2: 100, y1: 30.5, y2: 30.5 }), lines));
  }
}

/** Stretches without a gap. */
function pieces(points) {
  const found = [];
  let before = null;
  for (const point of points) {
    const isThere = point.value !== undefined && point.value !== null;
    if (isThere && before && point.at - before.at < 45_000) found.at(-1).push(point);
    else if (isThere) found.push([point]);
    before = isThere ? point : null;
  }
  return found;
}

customElements.define("ua-chart", Chart);

export function chart(given) {
  const element = document.createElement("ua-chart");
  element.given = given;
  return element;
}
