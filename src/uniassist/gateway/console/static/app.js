// The shell: who looks, where they are (the hash), the theme, the language, the keys. Pages are custom elements.

import { get, me, token, whoAmI } from "./api.js";
import { h, set, svg } from "./dom.js";
import { clock } from "./format.js";
import { language, setLanguage, t } from "./words.js";

const PAGES = {
  talk: { module: "./talk.js", tag: "ua-talk", key: "t", icon: "M3 5h14v9H9l-4 3v-3H3z" },
  life: { module: "./life.js", tag: "ua-life", key: "l", icon: "M3 5h6M6 10h8M10 15h7" },
  watch: { module: "./watch.js", tag: "ua-watch", key: "w", icon: "M2 11h4l2-6 4 10 2-4h4" },
  outbox: { module: "./outbox.js", tag: "ua-outbox", key: "o", icon: "M3 11l2-7h10l2 7v5H3zM3 11h4l1 2h4l1-2h4" },
  acts: { module: "./acts.js", tag: "ua-acts", key: "a", icon: "M5 3h10v14H5zM8 7h4M8 10h4M8 13h2" },
  release: { module: "./release.js", tag: "ua-release", key: "r", icon: "M10 17V4M5 9l5-5 5 5" },
};
const MARK = new URL("./mark.svg", import.meta.url).href;
const app = document.getElementById("app");
let main = null;
let shown = null;
let bar = null;

/** The hash as a place: `#/outbox/ID?status=failed`. */
export function place() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, ...rest] = path.split("/");
  return { page: PAGES[page] ? page : "talk", id: rest.map(decodeURIComponent).join("/"), fields: new URLSearchParams(search ?? "") };
}

function icon(path) {
  const line = svg("path", { d: path, fill: "none", stroke: "currentColor", "stroke-width": 1.6, "stroke-linecap": "round", "stroke-linejoin": "round" });
  return svg("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" }, line);
}

async function show() {
  const at = place();
  const page = PAGES[at.page];
  for (const link of document.querySelectorAll(".rail a")) {
    if (link.dataset.page === at.page) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  bar.title.textContent = t(at.page);
  document.title = `${t(at.page)} · UniAssist`;
  await import(page.module);
  if (place().page !== at.page) return; // the person went on meanwhile
  if (shown?.localName !== page.tag) {
    shown = document.createElement(page.tag);
    set(main, shown);
  }
  shown.show(place());
}

function theme() {
  return document.documentElement.dataset.theme ?? "auto";
}

function turnTheme() {
  const next = { auto: "light", light: "dark", dark: "auto" }[theme()];
  if (next === "auto") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem("console.theme");
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem("console.theme", next);
  }
  build();
}

function turnLanguage() {
  setLanguage(language() === "zh" ? "en" : "zh");
  build();
}

function build() {
  const links = Object.entries(PAGES).map(([name, page]) =>
    h("a", { href: `#/${name}`, data: { page: name }, title: `g ${page.key}` }, icon(page.icon), h("span", {}, t(name))),
  );
  bar = { title: h("h1", {}, ""), banner: h("span", { class: "row", id: "banner", role: "status" }) };
  main = h("main", { class: "main", id: "main", tabIndex: -1 });
  shown = null;
  const glyph = { auto: "◐", light: "☀", dark: "☾" }[theme()];
  set(
    app,
    h(
      "div",
      { class: "shell" },
      h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("skip")),
      h("section", { class: "brand", "aria-label": "UniAssist" }, h("img", { src: MARK, alt: "" }), "UniAssist"),
      h(
        "header",
        { class: "bar" },
        bar.title,
        h("div", { class: "grow" }, bar.banner,
          h("span", { class: `tag plain ${me.env === "prod" ? "bad" : "accent"}`, title: t("env") }, me.env),
          h("button", { type: "button", class: "quiet wide", title: "?", onclick: help }, t("keys")),
          h("button", { type: "button", class: "quiet", lang: language() === "zh" ? "en" : "zh-CN", onclick: turnLanguage }, t("switch_language")),
          h("button", { type: "button", class: "quiet", "aria-label": t(`theme_${theme()}`), title: t(`theme_${theme()}`), onclick: turnTheme }, glyph),
        ),
      ),
      h(
        "nav",
        { class: "rail", "aria-label": "UniAssist" },
        links,
        h(
          "div",
          { class: "foot" },
          h("b", {}, me.name),
          h("span", {}, t(`role_${me.role}`)),
          h("span", { class: "mono" }, `${me.version} ${me.revision === "unknown" ? "" : me.revision.slice(0, 12)}`),
          token.get() && h("button", { type: "button", class: "quiet", onclick: () => { token.set(null); location.reload(); } }, t("leave")),
        ),
      ),
      main,
    ),
  );
  show();
  lookAtDelivery();
}

/** Whether delivery is paused: said on every page. */
async function lookAtDelivery() {
  try {
    const { now } = await get("watch", { since: Date.now() + 3_600_000 });
    const paused = now?.paused;
    set(bar.banner, paused && h("a", { class: "tag warn", href: "#/outbox", title: paused.reason ?? "" }, t("paused_banner", { since: clock(paused.since), by: paused.by ?? "?" })));
  } catch {
    // the pages say what is wrong
  }
}

function help() {
  const rows = [
    ...Object.entries(PAGES).map(([name, page]) => [["g", page.key], t(name)]),
    [["/"], t("find")],
    [["j", "k"], `${t("event")} ↓ ↑`],
    [["Enter"], t("details")],
    [["?"], t("keys")],
  ];
  const dialog = h(
    "dialog",
    { "aria-label": t("keys"), onclose: () => dialog.remove() },
    h("div", { class: "inside" }, h("h2", {}, t("keys")),
      h("dl", { class: "facts" }, rows.map(([keys, meaning]) => [h("dt", {}, keys.map((key) => [h("span", { class: "key" }, key), " "])), h("dd", {}, meaning)])),
      h("form", { method: "dialog", class: "row end" }, h("button", {}, t("close")))),
  );
  document.body.append(dialog);
  dialog.showModal();
}

let waitsForPage = false;
addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, textarea, select, dialog, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !bar) return;
  if (waitsForPage) {
    waitsForPage = false;
    const found = Object.entries(PAGES).find(([, page]) => page.key === event.key);
    if (found) location.hash = `#/${found[0]}`;
  } else if (event.key === "g") waitsForPage = true;
  else if (event.key === "?") help();
  else if (event.key === "/") {
    event.preventDefault();
    main.querySelector("input[type=search]")?.focus();
  } else if (event.key === "j" || event.key === "k") {
    const rows = [...main.querySelectorAll("[data-row]")];
    const at = rows.indexOf(document.activeElement);
    rows[Math.min(rows.length - 1, Math.max(0, at + (event.key === "j" ? 1 : -1)))]?.focus();
  } else if (event.key === "Enter" && event.target.matches?.("tr[data-row]")) event.target.click();
});

function login(detail) {
  bar = null;
  const field = h("input", { type: "password", name: "token", autocomplete: "off", required: true, autofocus: true });
  set(
    app,
    h("div", { class: "login" },
      h("form", { onsubmit: (event) => { event.preventDefault(); token.set(field.value.trim()); start(); } },
        h("div", { class: "row" }, h("img", { src: MARK, alt: "", width: 24, height: 24 }), h("h1", {}, t("login_title"))),
        h("p", { class: "muted small" }, t("login_hint")),
        h("label", {}, h("span", { class: "hidden-text" }, t("login_title")), field),
        detail && token.get() && h("p", { class: "notice bad", role: "alert" }, t("login_wrong")),
        h("button", { class: "primary" }, t("enter")))),
  );
  field.focus();
}

async function start() {
  setLanguage(language());
  import(PAGES[place().page].module).catch(() => {}); // on its way while we hear who looks
  try {
    await whoAmI();
  } catch (problem) {
    if (problem.status === 401) return;
    set(app, h("div", { class: "login" }, h("p", { class: "notice bad", role: "alert" }, problem.status ? problem.message : t("away"))));
    setTimeout(start, 2000);
    return;
  }
  build();
}

addEventListener("hashchange", () => bar && show());
addEventListener("console-login", (event) => login(event.detail));
addEventListener("console-delivery", lookAtDelivery);
setInterval(() => bar && document.visibilityState === "visible" && lookAtDelivery(), 15_000);
start();
