// Talk: the sessions there are, one of them as it happens, and what an app's user may do in it.

import { attaching } from "./attaching.js";
import { appToken, asUser, get, me } from "./api.js";
import { eachFrame, h, set } from "./dom.js";
import { draft, render } from "./events.js";
import { Follower } from "./follow.js";
import { ago, day, id } from "./format.js";
import { language, t } from "./words.js";
import "./timeline.js";

const PAGE = 300;
const SESSIONS_MS = 15_000;
const SOON_MS = 1300; // the gateway keeps its answer for a second

class Talk extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => document.visibilityState === "visible" && this.list(), SESSIONS_MS);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
    clearTimeout(this.soon);
    this.leave();
  }

  show(at) {
    if (!this.frame) this.build();
    this.frame.toggleAttribute("data-open", Boolean(at.id));
    if (at.id !== this.sessionId) this.open(at.id);
    this.list();
  }

  build() {
    this.search = h("input", { type: "search", placeholder: t("find_session"), "aria-label": t("find_session"), oninput: () => this.list() });
    this.found = h("ol", { "aria-label": t("sessions") });
    this.side = h("section", { class: "sessions", "aria-label": t("sessions") },
      h("div", { class: "head" }, h("button", { type: "button", class: "primary", onclick: () => this.begin() }, "+ ", t("new_session")), this.search), this.found);
    this.conversation = h("section", { class: "conversation", "aria-label": t("talk") });
    this.frame = h("div", { class: "talk" }, this.side, this.conversation);
    set(this, this.frame);
  }

  begin() {
    location.hash = `#/talk/console-${crypto.randomUUID().slice(0, 13)}`;
  }

  async list() {
    const of = this.search.value.trim();
    let sessions;
    try {
      ({ sessions } = await get("sessions", { of, limit: 60 }));
    } catch {
      return; // the conversation says how the connection is
    }
    if (of !== this.search.value.trim()) return;
    this.sessions = sessions;
    const drawn = JSON.stringify([sessions, this.sessionId, Math.floor(Date.now() / 30_000)]);
    if (drawn === this.drawn) return;
    this.drawn = drawn;
    const focused = document.activeElement?.closest?.(".sessions li a")?.getAttribute("href");
    set(this.found, sessions.length ? sessions.map((one) => h("li", {},
      h("a", { href: `#/talk/${encodeURIComponent(one.sessionId)}`, "aria-current": one.sessionId === this.sessionId ? "true" : null, data: { row: "" } },
        h("span", { class: "said" }, one.preview ?? one.sessionId), h("span", { class: "tiny muted nowrap" }, ago(one.lastActivityAt)),
        h("span", { class: "of mono" }, `${one.userId} · ${one.sessionId}`), h("span", { class: "tiny muted num" }, one.seq))))
      : h("li", { class: "empty small" }, t("no_sessions")));
    if (focused) this.found.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus();
    const own = sessions.find((one) => one.sessionId === this.sessionId);
    if (own && JSON.stringify(own.memory) !== JSON.stringify(this.session?.memory)) {
      this.session = own;
      this.version += 1;
      this.redraw?.();
    } else if (own) this.session = own;
    this.head?.();
  }

  leave() {
    this.follower?.stop();
    this.redraw?.cancel();
    this.follower = null;
  }

  async open(sessionId) {
    this.leave();
    this.sessionId = sessionId;
    this.session = this.sessions?.find((one) => one.sessionId === sessionId) ?? null;
    this.drawn = null;
    if (!sessionId) {
      this.head = null;
      set(this.conversation, h("span"), h("div", { class: "empty" }, h("p", {}, t("pick_session")), h("p", {}, h("button", { type: "button", onclick: () => this.begin() }, t("new_session")))));
      return;
    }
    this.events = [];
    this.drafts = new Map();
    this.first = null;
    this.state = "connecting";
    this.version = 0;
    this.stage();
    if (!this.session) {
      const { sessions } = await get("sessions", { of: sessionId, limit: 5 }).catch(() => ({ sessions: [] }));
      if (this.sessionId !== sessionId) return;
      this.session = sessions.find((one) => one.sessionId === sessionId) ?? null;
      this.head();
      this.compose();
    }
    await this.load(sessionId);
  }

  async load(sessionId) {
    const from = Math.max(0, (this.session?.seq ?? 0) - PAGE);
    const page = await get("timeline", { sessionId, cursor: from }).catch(() => null);
    if (this.sessionId !== sessionId) return;
    if (page) this.take(page.events);
    this.first = page?.events[0]?.seq ?? from + 1;
    this.follower = new Follower(sessionId, this.events.at(-1)?.seq ?? from, {
      events: (events) => this.take(events),
      delta: (frame) => this.write(frame),
      state: (state) => {
        if (state === this.state) return;
        this.state = state;
        this.head();
      },
    });
    this.redraw();
  }

  /** Events before those that are shown. */
  async earlier() {
    if (this.isLoading || !this.first || this.first <= 1) return;
    this.isLoading = true;
    const { sessionId } = this;
    try {
      const from = Math.max(0, this.first - 1 - PAGE);
      const page = await get("timeline", { sessionId, cursor: from, limit: this.first - 1 - from });
      if (this.sessionId !== sessionId) return;
      const before = page.events.filter((event) => event.seq < this.first);
      this.first = from + 1;
      this.events = [...before, ...this.events];
      this.index(this.events, true);
      this.line(this.events, true);
      this.redraw();
    } catch {
      // asked again with the next scroll
    } finally {
      this.isLoading = false;
    }
  }

  /** What comes from the timeline: in order, each once. */
  take(events) {
    const last = this.events.at(-1)?.seq ?? 0;
    const news = events.filter((event) => event.seq > last);
    if (!news.length) return;
    this.events.push(...news);
    this.index(news, false);
    this.line(news, false);
    this.redraw();
    clearTimeout(this.soon);
    this.soon = setTimeout(() => this.isConnected && this.list(), SOON_MS);
  }

  write(frame) {
    const key = `${frame.runId} ${frame.messageId}`;
    const before = this.drafts.get(key);
    const text = frame.offset === 0 ? frame.text : (before?.text ?? "") + frame.text;
    const run = this.events.findLast((event) => event.runId === frame.runId);
    this.drafts.set(key, { text, runId: frame.runId, providerId: run?.providerId });
    this.redraw();
  }

  /** What rows say of each other: a run's state, what was chosen, which form was answered. */
  index(events, anew) {
    if (anew || !this.known) this.known = { runs: new Map(), newestOfRun: new Map(), submitted: new Map(), labels: new Map(), fields: new Map(), asked: new Set() };
    const { runs, newestOfRun, submitted, labels, fields, asked } = this.known;
    for (const event of events) {
      const { kind, payload } = event;
      if (kind === "provider_run") {
        runs.set(event.runId, payload.status);
        newestOfRun.set(event.runId, event.seq);
        asked.add(`${event.traceId} ${event.providerId}`);
        if (["failed", "cancelled"].includes(payload.status)) {
          for (const [key, one] of this.drafts) if (one.runId === event.runId) this.drafts.delete(key);
        }
      } else if (kind === "user_interaction") {
        if (payload.actionId?.startsWith("submit_")) submitted.set(event.runId, event.seq);
      } else if (kind === "interaction") {
        const said = payload.event ?? {};
        if (said.messageId) this.drafts.delete(`${event.runId} ${said.messageId}`);
        for (const one of said.choices ?? []) labels.set(`${event.runId ?? ""} ${one.key}`, one.label).set(one.key, one.label);
        for (const one of said.actions ?? []) labels.set(`${event.runId ?? ""} ${one.actionId}`, one.label).set(one.actionId, one.label);
        for (const [name, of] of Object.entries(said.payload?.dataSchema?.properties ?? {})) if (of?.title) fields.set(`${event.runId} ${name}`, of.title);
      }
    }
  }

  /** What a row depends on beside itself: when that changes it is made anew. */
  versionOf(event) {
    const { runs, newestOfRun, submitted, asked } = this.known;
    if (event.kind === "provider_run") return `${runs.get(event.runId)} ${newestOfRun.get(event.runId)}`;
    if (event.kind === "routing_decision") return `${this.version} ${asked.size}`;
    if (event.kind === "interaction") return `${runs.get(event.runId) === "cancelled"} ${(submitted.get(event.runId) ?? 0) > event.seq}`;
    return "";
  }

  stage() {
    this.known = null;
    this.rows = [];
    this.rowOf = new WeakMap();
    this.draftRows = {};
    this.index([], true);
    this.timeline = document.createElement("ua-timeline");
    this.timeline.setAttribute("aria-label", t("talk"));
    this.newest = h("button", { type: "button", class: "to-newest", hidden: true, onclick: () => { this.timeline.toEnd(); this.newest.hidden = true; } }, "↓ ", t("newest"));
    this.timeline.addEventListener("stuck", (event) => { this.newest.hidden = event.detail; });
    this.timeline.addEventListener("top", () => this.earlier());
    const header = h("header");
    const composer = h("footer", { class: "composer" });
    set(this.conversation, header, h("div", { class: "stage" }, this.timeline, this.newest), composer);
    this.redraw = eachFrame(() => this.draw());
    this.head = () => this.heading(header);
    this.compose = () => this.composing(composer);
    this.head();
    this.compose();
    this.redraw();
  }

  heading(header) {
    const tone = { live: "good", polling: "warn", offline: "bad" }[this.state] ?? "info";
    const key = JSON.stringify([this.state, this.session?.userId, this.sessionId, this.session?.successorId]);
    if (header.dataset.key === key) return;
    header.dataset.key = key;
    set(header, h("a", { class: "button back", href: "#/talk", "aria-label": t("sessions") }, "←"),
      h("div", { class: "grow row" }, id(this.sessionId, { keep: 20 }), this.session && h("span", { class: "muted small" }, this.session.userId)),
      this.session?.successorId && h("a", { class: "small", href: `#/talk/${encodeURIComponent(this.session.successorId)}` }, "→ ", t("newest")),
      h("a", { class: "small wide", href: `#/outbox?sessionId=${encodeURIComponent(this.sessionId)}` }, t("in_outbox")),
      h("span", { class: `tag ${tone}`, role: "status", data: { state: this.state }, title: this.state === "offline" || this.state === "connecting" ? "" : t(`state_${this.state}_hint`) }, t(`state_${this.state}`)));
  }

  composing(footer) {
    if (this.session?.signed) {
      set(footer, h("p", { class: "inside muted small" }, t("signed_session")));
      return;
    }
    if (me.appAuth === "jwt" && !appToken.get()) {
      const field = h("input", { type: "password", "aria-label": t("app_token"), autocomplete: "off" });
      set(footer, h("form", { onsubmit: (event) => { event.preventDefault(); appToken.set(field.value.trim()); this.compose(); } },
        h("p", { class: "small" }, t("needs_app_token")), h("div", { class: "line" }, field, h("button", { class: "primary" }, t("enter")))));
      return;
    }
    const text = h("textarea", { rows: 1, placeholder: t("message_hint"), "aria-label": t("message"), name: "message", oninput: () => grow(text),
      onkeydown: (event) => {
        if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
          event.preventDefault();
          formOf.requestSubmit();
        }
      } });
    const user = h("input", { class: "as mono", "aria-label": t("as_user"), title: t("as_user"), value: this.session?.userId ?? localStorage.getItem("console.user") ?? "console", disabled: Boolean(this.session) });
    const wrong = h("p", { class: "wrong small", role: "alert" });
    const button = h("button", { class: "primary" }, t("send"));
    const attached = attaching();
    const formOf = h("form", {
      onsubmit: async (event) => {
        event.preventDefault();
        const said = text.value.trim();
        if (!attached.ready() || !(said || attached.taken().length)) return;
        button.disabled = true;
        wrong.textContent = "";
        try {
          await this.say(said, user.value.trim() || "console", attached.taken());
          text.value = "";
          attached.clear();
          grow(text);
        } catch (problem) {
          wrong.textContent = problem.status ? problem.message : t("away");
        } finally {
          button.disabled = false;
          text.focus();
        }
      },
    }, attached.place, h("div", { class: "line" }, user, attached.button, text, button), h("p", { class: "muted tiny hint" }, t("send_hint")), wrong);
    this.fillIn = (words) => {
      text.value = words;
      formOf.requestSubmit();
    };
    set(footer, formOf);
    if (matchMedia("(min-width: 47rem)").matches) text.focus();
  }

  async say(text, userId, attachments = []) {
    localStorage.setItem("console.user", userId);
    const ack = await asUser("ingest", { userId, sessionId: this.sessionId, source: "app", text: text || undefined, attachments: attachments.length ? attachments : undefined,
      locale: language() === "zh" ? "zh-CN" : undefined, timezone: Intl.DateTimeFormat().resolvedOptions().timeZone });
    this.timeline.toEnd();
    if (ack.sessionId !== this.sessionId) location.hash = `#/talk/${encodeURIComponent(ack.sessionId)}`;
  }

  using() {
    return {
      ...this.known,
      session: this.session,
      act: async (event, actionId, payload) => {
        const answer = await asUser("interact", { sessionId: this.sessionId, userId: event.userId, providerId: event.providerId ?? "builtin_chat", runId: event.runId ?? "none", actionId, payload });
        this.timeline.toEnd();
        if (answer.newSessionId) location.hash = `#/talk/${encodeURIComponent(answer.newSessionId)}`;
      },
      cancel: (event) => asUser(`runs/${encodeURIComponent(event.runId)}/cancel`, { sessionId: this.sessionId, userId: event.userId }),
      retry: (event) => {
        const said = this.events.find((one) => one.kind === "inbound" && one.traceId === event.traceId)?.payload.input;
        return this.say(said?.text ?? "", event.userId, said?.attachments);
      },
    };
  }

  /** The rows of events, each made once; `anew`: in a new order, after earlier ones came. */
  line(events, anew) {
    if (anew) this.rows = [];
    for (const event of events) {
      const of = new Date(event.timestampMs).toDateString();
      if (of !== this.rows.at(-1)?.day) this.rows.push({ key: `day ${event.seq}`, day: of, version: "", make: () => h("div", { class: "day" }, day(event.timestampMs)) });
      let row = this.rowOf.get(event);
      if (!row) {
        const talk = this;
        row = { key: event.eventId, day: of, make: () => render(event, talk.using()), get version() { return talk.versionOf(event); } };
        this.rowOf.set(event, row);
      }
      this.rows.push(row);
    }
  }

  draw() {
    const items = [...this.rows];
    for (const [key, one] of this.drafts) items.push(this.draftRow(key, one));
    if (!items.length) items.push({ key: "welcome", version: "", make: () => this.welcome() });
    this.timeline.setItems(items);
  }

  draftRow(key, one) {
    const talk = this;
    this.draftRows[key] ??= { key: `draft ${key}`, make: () => draft(talk.drafts.get(key) ?? one), get version() { return String(talk.drafts.get(key)?.text.length); } };
    return this.draftRows[key];
  }

  welcome() {
    const examples = me.providers.filter((provider) => provider.connected).map((provider) => (language() === "zh" ? provider.exampleZh : provider.exampleEn));
    return h("div", { class: "empty" }, h("p", {}, t("empty_session")),
      h("div", { class: "chips" }, examples.map((words) => h("button", { type: "button", onclick: () => this.fillIn?.(words) }, words))));
  }
}

function grow(text) {
  text.style.height = "auto";
  text.style.height = `${Math.min(text.scrollHeight + 2, 176)}px`;
}

customElements.define("ua-talk", Talk);
