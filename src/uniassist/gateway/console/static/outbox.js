// The outbox: what is on its way and what isn't, its filters in the address; dead letters looked at and replayed.

import { act, get, me } from "./api.js";
import { h, set } from "./dom.js";
import { ago, clock, count, duration, id, json, time } from "./format.js";
import { statusTag } from "./life.js";
import { t } from "./words.js";

const STATES = ["pending", "processing", "failed", "delivered", "consumed", "dead_letter"];
const AGES = { 60: "1 min", 600: "10 min", 3600: "1 h", 86400: "1 d", 604800: "7 d" };
const EVERY_MS = 5000;

class Outbox extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => document.visibilityState === "visible" && !this.older && this.load(), EVERY_MS);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  show(at) {
    this.fields = Object.fromEntries(at.fields);
    this.eventId = at.id;
    this.older = false;
    this.drawn = null;
    this.opened = null;
    if (!this.table) this.build();
    for (const name of ["status", "sessionId", "error", "olderThanSeconds"]) this.filters.elements[name].value = this.fields[name] ?? "";
    this.load();
    if (this.eventId) this.open();
    else set(this.detail);
  }

  build() {
    const option = ([value, label]) => h("option", { value }, label);
    this.filters = h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); this.go(); } },
      h("label", {}, t("state"), h("select", { name: "status", onchange: () => this.go() }, option(["", t("all_states")]), STATES.map((each) => option([each, t(`status_${each}`)])))),
      h("label", {}, t("session"), h("input", { type: "search", name: "sessionId", spellcheck: false })),
      h("label", {}, t("error_has"), h("input", { type: "search", name: "error", maxLength: 200, spellcheck: false })),
      h("label", {}, t("older_than"), h("select", { name: "olderThanSeconds", onchange: () => this.go() }, option(["", t("any_age")]), Object.entries(AGES).map(option))),
      h("div", { class: "row" }, h("button", { class: "primary" }, t("apply")), h("a", { class: "button", href: "#/outbox" }, t("reset"))));
    this.actions = h("div", { class: "row" });
    this.table = h("div", { class: "scroller", tabIndex: 0 });
    this.detail = h("div");
    this.wrong = h("p", { class: "notice bad", role: "alert", hidden: true });
    set(this, h("div", { class: "page" },
      h("section", { class: "panel" }, h("header", {}), h("div", { class: "inside" }, this.filters)),
      this.actions, this.wrong, this.detail,
      h("section", { class: "panel", "aria-label": t("outbox") }, this.table)));
    this.querySelector(".panel > header").remove();
    this.querySelector(".panel > .inside").style.paddingTop = "var(--s3)";
  }

  go() {
    const given = [...new FormData(this.filters)].map(([name, value]) => [name, String(value).trim()]).filter(([, value]) => value);
    const search = new URLSearchParams(given).toString();
    location.hash = `#/outbox${search ? `?${search}` : ""}`;
  }

  async load(before) {
    const { fields } = this;
    let page;
    try {
      page = await get("outbox", { ...fields, before, limit: 100 });
    } catch (problem) {
      this.wrong.hidden = false;
      this.wrong.textContent = problem.status ? problem.message : t("away");
      return;
    }
    if (fields !== this.fields) return;
    this.wrong.hidden = true;
    this.events = before ? [...this.events, ...page.events] : page.events;
    this.next = page.before;
    this.paused = page.paused;
    this.draw();
    if (this.eventId && this.opened) this.open();
  }

  draw() {
    const drawn = JSON.stringify([this.events, this.paused, this.eventId, Math.floor(Date.now() / 10_000)]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const mayAct = me.role === "act";
    set(this.actions,
      h("button", { type: "button", class: "primary", disabled: !mayAct, onclick: () => this.replay({ sessionId: this.fields.sessionId, error: this.fields.error, olderThanSeconds: this.fields.olderThanSeconds }) }, t("replay_these")),
      this.paused ? h("button", { type: "button", disabled: !mayAct, onclick: () => this.reasoned("resume") }, t("resume"))
        : h("button", { type: "button", class: "danger", disabled: !mayAct, onclick: () => this.reasoned("pause") }, t("pause")),
      this.paused && h("span", { class: "notice warn" }, t("paused_banner", { since: clock(this.paused.since), by: this.paused.by ?? "?" }), this.paused.reason && `: ${this.paused.reason}`),
      !mayAct && h("span", { class: "muted small" }, t("read_only")));
    if (!this.events.length) {
      set(this.table, h("p", { class: "empty" }, t("no_events")));
      return;
    }
    const focused = document.activeElement?.dataset?.event;
    const place = this.table.scrollTop;
    set(this.table, this.causes(), h("table", { class: "events" },
      h("thead", {}, h("tr", {}, [t("event"), t("state"), t("kind"), t("session"), t("attempts"), t("age"), t("last_error")].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, this.events.map((event) => this.row(event)))),
      this.next && h("p", { class: "empty" }, h("button", { type: "button", onclick: () => { this.older = true; this.load(this.next); } }, t("more"))));
    this.table.scrollTop = place;
    if (focused) this.table.querySelector(`[data-event="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Which errors these rows have, the most frequent first; each leads to its own. */
  causes() {
    const found = new Map();
    for (const { lastError } of this.events) if (lastError) found.set(lastError, (found.get(lastError) ?? 0) + 1);
    if (!found.size || (this.fields.error && found.size === 1)) return null;
    const most = [...found].sort(([, one], [, other]) => other - one).slice(0, 5);
    const href = (error) => `#/outbox?${new URLSearchParams({ ...this.fields, error: error.slice(0, 200) })}`;
    return h("p", { class: "causes small" }, h("b", {}, t("causes")), most.map(([error, times]) => h("a", { class: "button", href: href(error), title: error }, h("span", { class: "clip mono" }, error), h("b", {}, ` × ${count(times)}`))));
  }

  row(event) {
    const href = `#/outbox/${encodeURIComponent(event.eventId)}?${new URLSearchParams(this.fields)}`;
    return h("tr", { tabIndex: 0, "aria-selected": event.eventId === this.eventId ? "true" : null, data: { row: "", event: event.eventId }, onclick: (click) => !click.target.closest("a, button") && (location.hash = href) },
      h("td", {}, id(event.eventId, { href, keep: 14 })), h("td", {}, statusTag(event.status)),
      h("td", { class: "nowrap" }, event.kind ?? h("span", { class: "muted" }, "–"), event.seq !== undefined && h("span", { class: "muted" }, ` #${event.seq}`)),
      h("td", {}, id(event.sessionId, { href: `#/outbox?sessionId=${encodeURIComponent(event.sessionId)}`, keep: 14 })),
      h("td", { class: "nowrap" }, `${event.attempts} / ${event.maxAttempts}`), h("td", { class: "nowrap" }, event.createdAt ? ago(event.createdAt) : "–"),
      h("td", {}, h("span", { class: "clip mono", title: event.lastError ?? "" }, event.lastError ?? "")));
  }

  async open() {
    const { eventId } = this;
    let found;
    let life = null;
    try {
      found = await get(`outbox/${encodeURIComponent(eventId)}`);
      if (found.details.kind) life = await get("life", { of: eventId }).catch(() => null);
    } catch (problem) {
      set(this.detail, h("p", { class: "notice bad", role: "alert" }, problem.message));
      return;
    }
    const opened = JSON.stringify([eventId, found, life?.events.length]);
    if (eventId !== this.eventId || opened === this.opened) return;
    this.opened = opened;
    const of = found.details;
    const own = life?.events.find((event) => event.eventId === eventId);
    const facts = [
      [t("state"), statusTag(of.status)], [t("attempts"), `${of.attempts} / ${of.max_attempts}`],
      of.last_error && [t("last_error"), h("span", { class: "mono" }, of.last_error)],
      [t("session"), id(of.session_id, { href: `#/talk/${encodeURIComponent(of.session_id)}`, keep: 24 })],
      of.kind && [t("kind"), h("span", { class: "mono" }, `${of.kind} #${of.seq}`)],
    ].filter(Boolean);
    const history = [
      [of.created_at, t("committed")],
      ...found.replays.map((replay) => [replay.at, [t("replayed"), ` (${t(`status_${replay.previousStatus}`)}, ${replay.previousAttempts})`, replay.note ? ` · ${replay.note}` : "", " ", id(replay.replayToken)]]),
      of.locked_at && [of.locked_at, [t("status_processing"), " ", h("span", { class: "mono" }, of.locked_by)]],
      of.status === "failed" && of.next_retry_at && [of.next_retry_at, t("next_try")],
      of.delivered_at && [of.delivered_at, t("published")],
      of.consumed_at && [of.consumed_at, [t("consumed"), " ", h("span", { class: "mono" }, of.consumed_by)]],
    ].filter(Boolean).sort(([one], [other]) => one - other);
    set(this.detail, h("section", { class: "panel", "aria-label": t("details") },
      h("header", {}, h("h2", {}, id(eventId, { keep: 36 })), h("span", { class: "grow" }),
        of.kind && h("a", { class: "button", href: `#/life/${encodeURIComponent(eventId)}` }, t("open_life")),
        of.status === "dead_letter" && h("button", { type: "button", class: "primary", disabled: me.role !== "act", onclick: () => this.replay({ eventId }) }, t("replay_one")),
        h("a", { class: "button", href: `#/outbox?${new URLSearchParams(this.fields)}` }, t("close"))),
      h("div", { class: "inside split" },
        h("div", {}, h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
          h("h3", {}, t("history")), h("dl", { class: "facts" }, history.map(([at, what], index) => [h("dt", {}, time(at, { withMillis: true })), h("dd", {}, what, index > 0 && at > history[index - 1][0] && h("span", { class: "muted" }, ` +${duration(at - history[index - 1][0])}`))]))),
        h("div", {}, h("h3", {}, t("payload")), json(found.payload ?? own?.payload ?? null)))));
  }

  replay(filter) {
    const token = `replay-${crypto.randomUUID()}`;
    const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value).map(([name, value]) => [name, name === "olderThanSeconds" ? Number(value) : value]));
    const note = h("textarea", { name: "note", rows: 2, required: true, minLength: 3, maxLength: 500 });
    const limit = h("input", { type: "number", name: "limit", value: 100, min: 1, max: 10_000, oninput: () => stale() });
    const found = h("div", { role: "status" });
    const go = h("button", { type: "submit", class: "primary", disabled: true, value: "replay" }, t("replay"));
    const stale = () => { go.disabled = true; go.textContent = t("replay"); set(found); };
    const ask = async (dryRun) => act("replays", { ...given, limit: Number(limit.value), dryRun, note: note.value, replayToken: token });
    const dry = h("button", { type: "button", onclick: async () => {
      try {
        const done = await ask(true);
        go.disabled = !done.selected;
        go.textContent = t("replay_now", { count: count(done.selected) });
        set(found, h("p", { class: `notice ${done.selected ? "" : "warn"}` }, done.selected ? t("dry_found", { count: count(done.selected) }) : t("dry_none")),
          done.selected > 0 && h("pre", { class: "json" }, done.events.slice(0, 20).join("\n"), done.events.length > 20 ? "\n…" : ""));
      } catch (problem) {
        set(found, h("p", { class: "notice bad" }, problem.message));
      }
    } }, t("dry_run"));
    this.dialog(t("replay_title"), t("replay_text"), [
      h("p", { class: "mono small" }, Object.entries(given).map(([name, value]) => `${name} = ${value}`).join(", ") || t("every_dead_letter")),
      !given.eventId && h("label", {}, t("at_most"), limit), h("label", {}, t("note"), note), found,
    ], [dry, go], async (dialog) => {
      if (note.value.trim().length < 3) throw new Error(t("note_short"));
      const done = await ask(false);
      go.disabled = true;
      set(found, h("p", { class: "notice good" }, t("replay_done", { count: count(done.updated) }), " · ", t("replay_token"), " ", id(done.replayToken)));
      dialog.dataset.done = "";
      this.drawn = null;
      this.load();
    });
  }

  reasoned(what) {
    const note = h("textarea", { name: "note", rows: 2, required: true, minLength: 3, maxLength: 500 });
    this.dialog(t(`${what}_title`), t(`${what}_text`), [h("label", {}, t("note"), note)], [h("button", { class: `primary ${what === "pause" ? "danger" : ""}` }, t(`${what}_now`))], async (dialog) => {
      if (note.value.trim().length < 3) throw new Error(t("note_short"));
      await act(what, { note: note.value });
      dispatchEvent(new CustomEvent("console-delivery"));
      this.load();
      dialog.close();
    });
  }

  dialog(title, text, body, buttons, submit) {
    const wrong = h("p", { class: "notice bad", role: "alert", hidden: true });
    const dialog = h("dialog", { "aria-label": title, onclose: () => dialog.remove() },
      h("form", { noValidate: true, onsubmit: async (event) => {
        event.preventDefault();
        wrong.hidden = true;
        try {
          await submit(dialog);
        } catch (problem) {
          wrong.hidden = false;
          wrong.textContent = problem.message;
        }
      } }, h("h2", {}, title), h("p", { class: "muted small" }, text), body, wrong,
      h("div", { class: "row end" }, h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, t("close")), buttons)));
    document.body.append(dialog);
    dialog.showModal();
  }
}

customElements.define("ua-outbox", Outbox);
