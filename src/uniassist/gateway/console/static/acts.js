// What operators did through the console: who, when, what, why, and what came of it.

import { call, get, withToken } from "./api.js";
import { h, set } from "./dom.js";
import { count, id, time } from "./format.js";
import { t } from "./words.js";

class Acts extends HTMLElement {
  show() {
    this.acts = [];
    this.load();
  }

  async load(before) {
    try {
      const page = await get("acts", { before, limit: 100 });
      this.acts = before ? [...this.acts, ...page.acts] : page.acts;
      this.next = page.before;
      this.draw();
    } catch (problem) {
      set(this, h("div", { class: "page" }, h("p", { class: "notice bad", role: "alert" }, problem.status ? problem.message : t("away"))));
    }
  }

  draw() {
    set(this, h("div", { class: "page" },
      h("div", { class: "row" }, h("button", { type: "button", onclick: () => save() }, t("export")), h("button", { type: "button", class: "quiet", onclick: () => this.load() }, t("refresh"))),
      h("section", { class: "panel", "aria-label": t("acts") }, h("div", { class: "scroller", tabIndex: 0 }, this.acts.length ? h("table", {},
        h("thead", {}, h("tr", {}, ["when", "who", "what", "outcome", "note"].map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, this.acts.map((act) => h("tr", { tabIndex: 0, data: { row: "" } },
          h("td", { class: "nowrap" }, time(act.at)), h("td", { class: "nowrap" }, act.who, " ", h("span", { class: "muted" }, act.via)),
          h("td", {}, h("b", {}, t(`act_${act.act}`)), " ", target(act.target)), h("td", { class: "nowrap" }, outcome(act)), h("td", {}, act.note)))))
        : h("p", { class: "empty" }, t("no_acts"))),
      this.next && h("p", { class: "empty" }, h("button", { type: "button", onclick: () => this.load(this.next) }, t("more"))))));
  }
}

function target(of) {
  const filter = Object.entries(of.filter ?? {}).map(([name, value]) => `${name} = ${value}`).join(", ");
  return [h("span", { class: "mono" }, filter), of.replayToken && [" ", id(of.replayToken)]];
}

function outcome(act) {
  if (act.act === "replay") return t("events_moved", { count: count(act.outcome.updated) });
  return act.outcome.wasPaused === (act.act === "pause") ? "=" : "✓";
}

/** With the token in a header, which a plain link couldn't show. */
async function save() {
  const answer = await call("GET", "console/v0/acts.jsonl", { headers: withToken() });
  const url = URL.createObjectURL(await answer.blob());
  h("a", { href: url, download: "operator-acts.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

customElements.define("ua-acts", Acts);
