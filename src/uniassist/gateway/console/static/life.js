// One message's whole life, as one waterfall: its commit, its providers, its way to the streams and to the consumer.
// Only what is stored is drawn; what has no time has no mark.

import { get } from "./api.js";
import { h, set, svg } from "./dom.js";
import { nameOf } from "./events.js";
import { clock, count, duration, id, json, time } from "./format.js";
import { t } from "./words.js";

const LANE = 24;
const TOP = 26;
const LABEL_WIDE = 250;
const LABEL_NARROW = 118;
const TONES = { consumed: "good", delivered: "info", pending: "info", processing: "info", failed: "warn", dead_letter: "bad" };

export function statusTag(status) {
  return h("span", { class: `tag ${TONES[status] ?? ""}` }, t(`status_${status}`));
}

class Life extends HTMLElement {
  connectedCallback() {
    this.sizes = new ResizeObserver(() => this.life && this.drawn && this.draw());
    this.sizes.observe(this);
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    clearTimeout(this.again);
  }

  show(at) {
    clearTimeout(this.again);
    if (!this.body) {
      this.search = h("input", { type: "search", name: "of", "aria-label": t("find_life"), placeholder: t("find_life"), spellcheck: false });
      this.body = h("div", { class: "page" });
      set(this, h("div", { class: "page" }, h("form", { class: "lifebar", role: "search", onsubmit: (event) => {
        event.preventDefault();
        if (this.search.value.trim()) location.hash = `#/life/${encodeURIComponent(this.search.value.trim())}`;
      } }, h("label", {}, h("span", {}, t("find_life")), this.search), h("button", { class: "primary" }, t("find")))), this.body);
      this.body.classList.add("lives");
      this.body.style.paddingTop = "0";
    }
    this.search.value = at.id;
    this.wanted = at.id;
    this.chosen = null;
    if (!at.id) set(this.body, h("p", { class: "empty" }, t("life_empty")));
    else this.load();
  }

  async load() {
    const { wanted } = this;
    let life;
    try {
      life = await get("life", { of: wanted });
    } catch (problem) {
      if (this.wanted === wanted) set(this.body, h("p", { class: "notice bad", role: "alert" }, problem.message));
      return;
    }
    if (this.wanted !== wanted) return;
    const before = JSON.stringify(this.life && { ...this.life, now: 0 });
    this.life = life;
    if (!this.drawn || before !== JSON.stringify({ ...life, now: 0 })) this.build();
    // What is still on its way is looked at again; a life that has ended stays as it is.
    const isOpen = life.calls.length > 0 || life.events.some((event) => event.outbox && !["consumed", "dead_letter"].includes(event.outbox.status));
    if (isOpen && this.isConnected) this.again = setTimeout(() => this.load(), 1000);
  }

  build() {
    const { life } = this;
    this.chosen ??= life.events.find((event) => event.eventId === this.wanted)?.eventId ?? life.eventId;
    const said = life.events.find((event) => event.kind === "inbound")?.payload?.input?.text;
    this.chart = h("div", { class: "scroller", tabIndex: 0 });
    this.side = h("div", { class: "split" });
    set(
      this.body,
      h("section", { class: "panel", "aria-label": t("life_title") },
        h("header", {}, h("h2", {}, said ? `“${said.length > 90 ? `${said.slice(0, 90)}…` : said}”` : t("life_title")), h("span", { class: "muted" }, t("life_from"))),
        h("div", { class: "inside row small" },
          h("span", { class: "muted" }, t("trace")), id(life.traceId, { keep: 18 }),
          h("span", { class: "muted" }, t("session")), id(life.sessionId, { href: `#/talk/${encodeURIComponent(life.sessionId)}`, keep: 18 }),
          life.others.length > 0 && [h("span", { class: "muted" }, t("others")), life.others.map((trace) => id(trace, { href: `#/life/${encodeURIComponent(trace)}`, keep: 10 }))]),
        life.streams && h("p", { class: "inside" }, h("span", { class: "notice warn" }, t("streams_problem", { problem: life.streams }))),
        this.chart,
        h("div", { class: "legend" }, h("span", {}, h("i", { class: "commit" }), t("committed")), h("span", {}, h("i", { class: "provider" }), t("provider_works")),
          h("span", {}, h("i", { class: "publish" }), t("waits_publish")), h("span", {}, h("i", { class: "consume" }), t("waits_consume"))),
        this.figures()),
      this.side,
    );
    this.drawn = true;
    this.draw();
    this.open();
  }

  /** What took how long, in figures. */
  figures() {
    const { life } = this;
    const lanes = this.lanes();
    const times = lanes.flatMap((lane) => lane.times);
    const worked = lanes.filter((lane) => lane.type === "run").flatMap((lane) => lane.bars).filter((bar) => bar.tone === "provider");
    const rows = life.events.map((event) => event.outbox).filter(Boolean);
    const slowest = (from, to) => Math.max(...rows.map((row) => (row[from] && row[to] ? row[to] - row[from] : -1)));
    const published = slowest("createdAt", "deliveredAt");
    const consumed = slowest("deliveredAt", "consumedAt");
    const attempts = rows.reduce((sum, row) => sum + row.attempts, 0);
    const facts = [
      [t("total"), duration(Math.max(...times) - Math.min(...times))],
      [t("provider_works"), worked.length ? duration(Math.max(...worked.map((bar) => bar.to - bar.from))) : "–"],
      [t("waits_publish"), published >= 0 ? duration(published) : "–"],
      [t("waits_consume"), consumed >= 0 ? duration(consumed) : "–"],
      [t("failed_attempts"), count(attempts)],
    ];
    return h("div", { class: "figures" }, facts.map(([label, value]) => h("div", { class: "figure" }, h("span", { class: "label" }, label), h("b", {}, value))));
  }

  /** A lane for each run and each event: { key, type, label, bars, marks, times }. */
  lanes() {
    const { life } = this;
    const lanes = [];
    const ofRun = new Map();
    for (const event of life.events) {
      if (event.runId && !ofRun.has(event.runId)) {
        const lane = this.runLane(life.runs.find((run) => run.runId === event.runId), event.runId);
        if (lane) {
          ofRun.set(event.runId, lane);
          lanes.push(lane);
        }
      }
      lanes.push(this.eventLane(event));
    }
    return lanes;
  }

  /** The calls of one run: from the commit that owed each to the commit that answered it. */
  runLane(run, runId) {
    const asked = this.life.asked.filter((one) => one.runId === runId);
    if (!run || !asked.length) return null;
    const bars = asked.map((one) => (one.status === "owed"
      ? { from: one.askedAt, to: this.life.now, tone: "owed", label: t("still_owed", { attempt: one.attempt }) }
      : { from: one.askedAt, to: one.answeredAt ?? one.askedAt, tone: one.status === "failed" ? "bad" : "provider", label: t("provider_works") }));
    const times = bars.flatMap((bar) => [bar.from, bar.to]);
    return { key: runId, type: "run", label: nameOf(run.providerId), hint: t(`run_${run.status}`), bars, marks: [], times };
  }

  eventLane(event) {
    const { outbox } = event;
    const bars = [];
    const marks = [{ at: event.committedAt, tone: "commit", label: t("committed") }];
    if (outbox?.deliveredAt) bars.push({ from: outbox.createdAt ?? event.committedAt, to: outbox.deliveredAt, tone: "publish", label: t("waits_publish") });
    else if (outbox && outbox.status !== "consumed") bars.push({ from: outbox.createdAt ?? event.committedAt, to: this.life.now, tone: outbox.status === "dead_letter" ? "bad" : "owed", label: t(`status_${outbox.status}`) });
    if (outbox?.deliveredAt && outbox.consumedAt) bars.push({ from: outbox.deliveredAt, to: outbox.consumedAt, tone: "consume", label: t("waits_consume") });
    for (const replay of event.replays ?? []) marks.push({ at: replay.at, tone: "bad", label: t("replayed") });
    return { key: event.eventId, type: "event", label: laneName(event), hint: `#${event.seq}`, bars, marks, times: [...bars.flatMap((bar) => [bar.from, bar.to]), ...marks.map((mark) => mark.at)] };
  }

  draw() {
    const lanes = this.lanes();
    const width = Math.max(320, this.chart.clientWidth || 320);
    const label = width < 640 ? LABEL_NARROW : LABEL_WIDE;
    const times = lanes.flatMap((lane) => lane.times);
    const start = Math.min(...times);
    const span = Math.max(1, Math.max(...times) - start);
    const plot = width - label - 74;
    const x = (at) => label + ((at - start) / span) * plot;
    const height = TOP + lanes.length * LANE + 8;
    const grid = ticks(span, Math.max(2, Math.floor(plot / 110))).map((tick) => svg("g", {},
      svg("line", { class: "grid", x1: x(start + tick), x2: x(start + tick), y1: TOP - 6, y2: height }),
      svg("text", { class: "dim", x: tick === 0 ? x(start) - 8 : x(start + tick), y: 10, "text-anchor": tick === 0 ? "end" : "middle" }, tick === 0 ? clock(start, { withMillis: true }) : `+${duration(tick)}`)));
    const rows = lanes.map((lane, at) => this.lane(lane, at, { x, width, label }));
    set(this.chart, svg("svg", { class: "waterfall", viewBox: `0 0 ${width} ${height}`, width, height, role: "group", "aria-label": t("life_title") }, grid, rows));
  }

  lane(lane, at, { x, width, label }) {
    const y = TOP + at * LANE;
    const middle = y + LANE / 2;
    const end = Math.max(...lane.times);
    const took = lane.bars.length ? lane.bars.reduce((sum, bar) => sum + bar.to - bar.from, 0) : null;
    const isEvent = lane.type === "event";
    const said = `${lane.label}, ${lane.hint}: ${lane.bars.map((bar) => `${bar.label} ${duration(bar.to - bar.from)}`).join(", ") || clock(lane.times[0])}`;
    const most = Math.floor((label - 52) / 6.6);
    const name = lane.label.length > most ? `${lane.label.slice(0, most - 1)}…` : lane.label;
    const choose = () => {
      this.chosen = lane.key;
      this.draw();
      this.open();
    };
    return svg("g", {
      class: "pick", tabindex: 0, role: "button", "aria-label": said, "data-row": "",
      "aria-current": this.chosen === lane.key ? "true" : null, "data-lane": lane.key, onclick: choose,
      onkeydown: (event) => ["Enter", " "].includes(event.key) && (event.preventDefault(), choose(), this.chart.querySelector("[aria-current]")?.focus()),
    },
      svg("title", {}, said),
      svg("rect", { class: `lane ${at % 2 ? "odd" : ""}`, x: 0, y, width, height: LANE }),
      svg("text", { class: "dim", x: 12, y: middle, "font-size": 11 }, isEvent ? lane.hint : "▸"),
      svg("text", { x: 40, y: middle, "font-weight": isEvent ? 400 : 600 }, name),
      lane.bars.map((bar) => svg("rect", { class: bar.tone, x: x(bar.from), y: middle - 5, width: Math.max(1.5, x(bar.to) - x(bar.from)), height: 10, rx: 2 })),
      lane.marks.map((mark) => svg("path", { class: `mark ${mark.tone}`, d: `M${x(mark.at)} ${middle - 5.5}l5.5 5.5l-5.5 5.5l-5.5-5.5z` })),
      took !== null && svg("text", { class: "dim", x: x(end) + 10, y: middle, "font-size": 11 }, duration(took)));
  }

  /** What was chosen: a run's calls, or an event beside its row of the outbox. */
  open() {
    const event = this.life.events.find((one) => one.eventId === this.chosen);
    if (!event) {
      set(this.side, this.life.asked.filter((one) => one.runId === this.chosen).flatMap(calls));
      this.grow();
      return;
    }
    const { outbox } = event;
    const facts = [
      [t("event"), id(event.eventId, { keep: 32 })],
      [t("kind"), h("span", { class: "mono" }, event.extensionKind ?? event.kind)],
      event.runId && [t("run"), id(event.runId, { href: `#/life/${encodeURIComponent(event.runId)}`, keep: 24 })],
      [t("committed"), time(event.committedAt, { withMillis: true })],
      [t("session_stream"), event.sessionEntry ? h("span", { class: "mono" }, event.sessionEntry) : h("span", { class: "muted" }, t("not_on_streams"))],
      [t("global_stream"), event.globalEntry ? h("span", { class: "mono" }, event.globalEntry) : h("span", { class: "muted" }, t("not_on_streams"))],
    ].filter(Boolean);
    const delivery = outbox ? [
      [t("state"), [statusTag(outbox.status), " ", h("a", { class: "small", href: `#/outbox/${encodeURIComponent(event.eventId)}` }, t("in_outbox"))]],
      [t("attempts"), `${outbox.attempts} / ${outbox.maxAttempts}`],
      outbox.lastError && [t("last_error"), h("span", { class: "mono" }, outbox.lastError)],
      outbox.nextRetryAt && [t("next_try"), time(outbox.nextRetryAt)],
      [t("published"), time(outbox.deliveredAt, { withMillis: true })],
      [t("consumed"), outbox.consumedAt ? [time(outbox.consumedAt, { withMillis: true }), " ", t("by"), " ", h("span", { class: "mono" }, outbox.consumedBy)] : "–"],
      outbox.lockedBy && [t("worker"), h("span", { class: "mono" }, outbox.lockedBy)],
      outbox.epoch && [t("epoch"), h("span", { class: "mono" }, outbox.epoch)],
      outbox.traceparent && ["traceparent", id(outbox.traceparent, { keep: 30 })],
      ...(event.replays ?? []).map((replay) => [t("replayed"), [time(replay.at), replay.note ? ` · ${replay.note}` : ""]]),
    ].filter(Boolean) : null;
    set(
      this.side,
      h("section", { class: "panel", "aria-label": t("details") }, h("header", {}, h("h2", {}, `#${event.seq} `, laneName(event))),
        h("div", { class: "inside" }, list(facts)), h("header", {}, h("h3", {}, t("outbox"))),
        h("div", { class: "inside" }, delivery ? list(delivery) : h("p", { class: "muted small" }, t("row_gone")))),
      h("section", { class: "panel" }, h("header", {}, h("h2", {}, t("payload"))),
        h("div", { class: "inside row" }, json(event.payload))),
    );
    this.grow();
  }

  grow() {
    for (const block of this.side.querySelectorAll(".json")) block.classList.add("grow");
  }
}

const CALL_TONES = { answered: "good", failed: "bad", cancelled: "warn", owed: "info" };

/** What a provider was asked, and what it said. */
function calls(one) {
  const end = one.answeredAt;
  const facts = [
    [t("call"), h("span", { class: "mono" }, one.kind)],
    [t("state"), [h("span", { class: `tag ${CALL_TONES[one.status]}` }, t(`call_${one.status}`)), one.attempt && ` ${t("still_owed", { attempt: one.attempt })}`]],
    [t("run"), id(one.runId, { keep: 24 })],
    [t("asked_at"), time(one.askedAt, { withMillis: true })],
    one.firstAt && [t("first_said"), [time(one.firstAt, { withMillis: true }), ` · ${duration(one.firstAt - one.askedAt)}`]],
    end && [t("answered_at"), [time(end, { withMillis: true }), ` · ${duration(end - one.askedAt)}`]],
  ].filter(Boolean);
  return [
    h("section", { class: "panel", "aria-label": t("request") }, h("header", {}, h("h2", {}, nameOf(one.providerId), " · ", t("request"))), h("div", { class: "inside" }, list(facts)),
      h("div", { class: "inside row" }, json(one.request)),
      one.uncertain.length > 0 && h("p", { class: "inside muted small" }, t("not_kept"), " ", h("span", { class: "mono" }, one.uncertain.join(", ")))),
    h("section", { class: "panel", "aria-label": t("answer") }, h("header", {}, h("h2", {}, t("answer")), one.status === "failed" && h("span", { class: "tag bad plain" }, t("ours"))),
      h("div", { class: "inside row" }, one.says.length ? json(one.says) : h("p", { class: "muted small" }, t(one.status === "owed" ? "no_answer_yet" : "no_answer")))),
  ];
}

function list(facts) {
  return h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function laneName(event) {
  const said = event.payload?.event;
  if (event.kind === "provider_run") return `${nameOf(event.providerId)} ${t(`run_${event.payload?.status}`)}`;
  if (event.kind === "inbound") return t("accepted");
  if (event.kind === "interaction") return t(`kind_${said?.extensionKind ?? said?.type}`);
  if (event.kind === "user_interaction") return `${t("did")} ${event.payload?.actionId ?? ""}`;
  return t(`kind_${event.kind}`);
}

/** Times of the axis: round steps, so many at most. */
function ticks(span, most) {
  const rough = span / most;
  const power = 10 ** Math.floor(Math.log10(Math.max(rough, 0.1)));
  const step = [1, 2, 5, 10].map((one) => one * power).find((one) => one >= rough) ?? span;
  const found = [];
  for (let at = 0; at <= span && found.length < 12; at += step) found.push(at);
  return found;
}

customElements.define("ua-life", Life);
