// Numbers and times as people read them; times are the reader's own, with the exact one beside.

import { language, t } from "./words.js";
import { h, svg } from "./dom.js";

const locale = () => (language() === "zh" ? "zh-CN" : "en-GB");

export function count(value) {
  return value === undefined || value === null ? "–" : new Intl.NumberFormat(locale()).format(value);
}

export function bytes(value) {
  if (value === undefined || value === null) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${value >= 100 || at === 0 ? Math.round(value) : value.toFixed(1)} ${units[at]}`;
}

/** Milliseconds in the largest fitting unit. */
export function duration(ms) {
  if (ms === undefined || ms === null) return "–";
  const size = Math.abs(ms);
  if (size < 1) return "< 1 ms";
  if (size < 1000) return `${size < 10 ? ms.toFixed(1).replace(/\.0$/, "") : Math.round(ms)} ms`;
  if (size < 60_000) return `${(ms / 1000).toFixed(size < 10_000 ? 2 : 1)} s`;
  if (size < 3_600_000) return `${(ms / 60_000).toFixed(1)} min`;
  if (size < 86_400_000) return `${(ms / 3_600_000).toFixed(1)} h`;
  return `${(ms / 86_400_000).toFixed(1)} d`;
}

export function clock(ms, { withMillis = false } = {}) {
  const at = new Date(ms);
  const time = at.toLocaleTimeString("en-GB", { hour12: false });
  return withMillis ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}

export function day(ms) {
  return new Date(ms).toLocaleDateString(locale(), { weekday: "short", day: "numeric", month: "short" });
}

/** A time element: the clock today, with the day before; the whole of it, in UTC, on hover. */
export function time(ms, options) {
  if (ms === undefined || ms === null) return h("span", { class: "muted" }, "–");
  const iso = new Date(ms).toISOString();
  const today = new Date().toDateString() === new Date(ms).toDateString();
  return h("time", { dateTime: iso, title: iso }, today ? clock(ms, options) : `${day(ms)} ${clock(ms, options)}`);
}

export function ago(ms, now = Date.now()) {
  const past = now - ms;
  return past < 5000 ? t("now") : t("ago", { time: duration(past).replace(/\.\d+/, "") });
}

/** An id, short on the screen and whole when copied. */
export function id(value, { href, keep = 12 } = {}) {
  if (!value) return h("span", { class: "muted" }, "–");
  const short = value.length > keep + 3 ? `…${value.slice(-keep)}` : value;
  const copy = h(
    "button",
    {
      type: "button",
      class: "copy",
      title: t("copy"),
      "aria-label": `${t("copy")}: ${value}`,
      onclick: async (event) => {
        event.preventDefault();
        event.stopPropagation();
        await navigator.clipboard?.writeText(value);
        copy.dataset.done = "";
        setTimeout(() => delete copy.dataset.done, 900);
      },
    },
    svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: "M5.5 5.5V3h7.5v7.5h-2.5M3 5.5h7.5V13H3z" })),
  );
  const shown = href ? h("a", { href, class: "mono", title: value }, short) : h("span", { class: "mono", title: value }, short);
  return h("span", { class: "id" }, shown, copy);
}

export function json(value) {
  return h("pre", { class: "json", tabIndex: 0 }, typeof value === "string" ? value : JSON.stringify(value, null, 2));
}
