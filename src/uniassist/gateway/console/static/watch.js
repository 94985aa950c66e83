// Watch: how everything is, at a glance, with the last hour behind it; each figure leads to its list.

import { get } from "./api.js";
import { chart } from "./chart.js";
import { h, set } from "./dom.js";
import { nameOf } from "./events.js";
import { bytes, clock, count, duration, id } from "./format.js";
import { t } from "./words.js";

const KEPT = 360;

class Watch extends HTMLElement {
  show() {
    this.samples = [];
    this.look();
  }

  connectedCallback() {
    this.timer = setInterval(() => document.visibilityState === "visible" && this.look(), 10_000);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  async look() {
    let found;
    try {
      found = await get("watch", { since: this.samples?.at(-1)?.at });
    } catch (problem) {
      set(this, h("div", { class: "page" }, h("p", { class: "notice bad", role: "alert" }, problem.status ? problem.message : t("away"))));
      this.drawnAt = 0;
      return;
    }
    // A gateway that was restarted begins its hour anew: its counters are lower.
    if (found.samples.length && this.samples.length && found.samples[0].inputs < this.samples.at(-1).inputs) this.samples = [];
    this.samples = [...this.samples, ...found.samples].slice(-KEPT);
    if (found.now && found.now.at !== this.drawnAt) {
      this.drawnAt = found.now.at;
      this.draw(found.now);
    }
  }

  draw(now) {
    const place = this.parentElement?.scrollTop ?? 0;
    set(this, h("div", { class: "page" }, this.attention(now), this.tiles(now), this.services(now),
      h("div", { class: "split wide-left" }, this.providers(now), h("div", {}, this.workers(now))), this.groups(now),
      h("div", { class: "split" }, this.database(now.database), this.redis(now))));
    if (this.parentElement) this.parentElement.scrollTop = place;
  }

  /** What is wrong first, in words. */
  attention(now) {
    const last = this.samples.at(-1) ?? {};
    const wrong = [
      ...now.services.filter((one) => one.state !== "ok").map((one) => `${one.name}: ${one.problem ?? t(`service_${one.state}`)}`),
      ...now.providers.filter((one) => one.breaker !== "closed").map((one) => `${nameOf(one.providerId)}: ${t("breaker")} ${t(`breaker_${one.breaker}`)}`),
      now.workers.length === 0 && t("no_worker"),
      now.paused && t("paused_banner", { since: clock(now.paused.since), by: now.paused.by ?? "?" }),
      now.database.problem,
      now.redis.problem,
    ].filter(Boolean);
    const dead = last.deadLetter > 0 && h("a", { href: "#/outbox?status=dead_letter" }, `${count(last.deadLetter)} ${t("dead_letters").toLowerCase()} →`);
    if (!wrong.length && !dead) return h("p", { class: "notice good", role: "status" }, "✓ ", t("all_well"), " ", h("span", { class: "muted" }, t("last_hour")));
    return h("div", { class: "notice bad", role: "status" }, h("b", {}, t("attention")), h("ul", {}, [...new Set(wrong)].map((line) => h("li", {}, line)), dead && h("li", {}, dead)));
  }

  tiles(now) {
    const points = (of) => this.samples.map((sample) => ({ at: sample.at, value: of(sample) }));
    const rate = (of) => this.samples.map((sample, at) => {
      const before = this.samples[at - 1];
      const value = before ? ((of(sample) - of(before)) / (sample.at - before.at)) * 60_000 : null;
      return { at: sample.at, value: value === null || value < 0 ? null : value };
    });
    const last = this.samples.at(-1) ?? {};
    const figure = (series) => series.at(-1)?.value;
    const bounded = (value) => (value >= now.countedUpTo ? `${count(value)}+` : count(value));
    const waiting = (sample) => (sample.pending === undefined ? null : sample.pending + sample.processing + sample.failedEvents + sample.delivered);
    const inputs = rate((sample) => sample.inputs);
    const refused = rate((sample) => sample.inputErrors);
    const answered = rate((sample) => sample.answered);
    const failed = rate((sample) => sample.failed);
    const tile = ({ label, hint, value, unit, href, series, bad, top }) => h(href ? "a" : "div", { class: `tile ${bad ? "bad" : ""}`, href },
      h("span", { class: "label" }, label, hint && h("span", { class: "tiny" }, hint)), h("b", {}, value, unit && h("small", {}, ` ${unit}`)),
      chart({ label: `${label}: ${value} ${unit ?? ""}, ${t("last_hour")}`, series, now: now.at, top }));
    return h("section", { class: "tiles", "aria-label": t("watch") },
      tile({ label: t("dead_letters"), value: bounded(last.deadLetter), href: "#/outbox?status=dead_letter", series: [points((s) => s.deadLetter)], bad: last.deadLetter > 0, top: 1 }),
      tile({ label: t("backlog"), hint: last.failedEvents ? `${count(last.failedEvents)} ${t("status_failed")}` : "", value: bounded(waiting(last) ?? undefined), href: last.failedEvents ? "#/outbox?status=failed" : "#/outbox?status=pending", series: [points(waiting), points((s) => s.failedEvents)], top: 1 }),
      tile({ label: t("oldest"), value: !last.oldestSeconds ? "–" : duration(last.oldestSeconds * 1000), href: "#/outbox?status=pending&olderThanSeconds=60", series: [points((s) => s.oldestSeconds)], bad: last.oldestSeconds > 60, top: 1 }),
      tile({ label: t("to_consumed"), value: duration(last.toConsumedP95Ms), href: "#/outbox?status=consumed", series: [points((s) => s.toConsumedP95Ms)], top: 10 }),
      tile({ label: t("ingest"), hint: last.inputErrors ? `${count(last.inputErrors)} ${t("refused")}` : "", value: figure(inputs) === undefined || figure(inputs) === null ? count(last.inputs) : count(Math.round(figure(inputs))), unit: figure(inputs) === undefined || figure(inputs) === null ? "" : t("per_minute"), href: "#/talk", series: [inputs, refused], top: 1 }),
      tile({ label: t("latency"), value: duration(last.inputP95Ms), href: "#/talk", series: [points((s) => s.inputP95Ms)], top: 5 }),
      tile({ label: t("calls"), hint: last.failed ? `${count(last.failed)} ${t("failed_calls")}` : "", value: figure(answered) === undefined || figure(answered) === null ? count(last.answered) : count(Math.round(figure(answered))), unit: figure(answered) === undefined || figure(answered) === null ? "" : t("per_minute"), series: [answered, failed], top: 1 }),
      tile({ label: t("throughput"), hint: `${t("followers")}: ${count(last.followers)}`, value: last.consumedPerSecond ?? "–", unit: t("per_second"), href: "#/outbox?status=consumed", series: [points((s) => s.consumedPerSecond)], top: 1 }));
  }

  services(now) {
    return h("section", { class: "services", "aria-label": t("services") }, now.services.map((one) => h("article", { class: `health ${one.state}` },
      h("div", { class: "name" }, one.name, h("span", { class: `tag ${{ ok: "good", degraded: "warn" }[one.state] ?? "bad"}` }, t(`service_${one.state}`))),
      one.problem && h("p", { class: "why" }, one.problem),
      h("p", { class: "tiny muted" }, Object.entries(one.checks ?? {}).map(([name, state]) => `${name} ${state === "ok" ? "✓" : `✗ ${state}`}`).join(" · ")),
      one.revision && h("p", { class: "tiny muted mono" }, one.version, " ", one.revision))));
  }

  providers(now) {
    return h("section", { class: "panel", "aria-label": t("providers") }, h("header", {}, h("h2", {}, t("providers")), h("span", { class: "muted" }, t("since_start"))),
      h("div", { class: "scroller", tabIndex: 0 }, h("table", {},
        h("thead", {}, h("tr", {}, ["providers", "breaker", "ok_calls", "failed_calls", "under_way", "time_taken", "manifest"].map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, now.providers.map((one) => h("tr", {}, h("td", {}, nameOf(one.providerId)),
          h("td", {}, one.connected ? h("span", { class: `tag ${{ closed: "good", open: "bad" }[one.breaker] ?? "warn"}` }, t(`breaker_${one.breaker}`), one.failures > 0 && ` (${one.failures})`) : h("span", { class: "muted" }, t("not_connected"))),
          h("td", {}, count(one.answered)), h("td", { class: one.failed ? "why" : "" }, count(one.failed)), h("td", {}, count(one.underWay)),
          h("td", { class: "nowrap" }, one.p50Ms === undefined ? "–" : `${duration(one.p50Ms)} / ${duration(one.p95Ms)}`),
          h("td", {}, one.manifest === undefined ? "–" : t(one.manifest ? "manifest_right" : "manifest_wrong"))))))));
  }

  workers(now) {
    const owner = new Map(now.workers.flatMap((worker, at) => worker.shards.map((shard) => [shard, at])));
    return h("section", { class: "panel", "aria-label": t("shards") }, h("header", {}, h("h2", {}, t("shards")), now.unowned.length > 0 && h("span", { class: "tag bad" }, t("unowned", { count: now.unowned.length }))),
      h("div", { class: "inside" },
        h("div", { class: "shards", role: "img", "aria-label": `${32 - now.unowned.length} / 32` }, Array.from({ length: 32 }, (_, shard) => h("i", { class: owner.has(shard) ? `w${owner.get(shard) % 4}` : "none", title: `${shard}: ${now.workers[owner.get(shard)]?.worker ?? "–"}` }))),
        h("table", {}, h("tbody", {}, now.workers.length ? now.workers.map((worker) => h("tr", {}, h("td", {}, id(worker.worker, { keep: 28 })), h("td", { class: "num" }, `${worker.shards.length} / 32`), h("td", { class: "num" }, `${worker.consumedPerSecond} ${t("per_second")}`)))
          : h("tr", {}, h("td", { class: "why" }, t("no_worker")))))));
  }

  groups(now) {
    const held = now.groups.find((group) => group.holdsTrimming);
    const last = this.samples.at(-1) ?? {};
    return h("section", { class: "panel", "aria-label": t("stream_groups") }, h("header", {}, h("h2", {}, t("stream_groups")), h("span", { class: "muted" }, `${count(last.streamEntries)} · ${t("entries")}`), !held && h("span", { class: "muted" }, t("trimming_free"))),
      h("div", { class: "scroller", tabIndex: 0 }, h("table", {},
        h("thead", {}, h("tr", {}, [t("group"), t("pending"), t("readers")].map((name) => h("th", { scope: "col" }, name)), h("td", {}))),
        h("tbody", {}, now.groups.map((group) => h("tr", {}, h("td", { class: "mono" }, group.group), h("td", {}, count(group.pending)), h("td", { class: "mono" }, group.consumers.join(", ") || "–"),
          h("td", {}, group.holdsTrimming ? h("span", { class: "tag warn" }, t("holds"), " ", duration(group.heldSeconds * 1000), " ", group.heldEntry) : group.isIdle ? h("span", { class: "tag" }, t("idle_group")) : "")))))));
  }

  server(title, of, tag, facts, series, now) {
    return h("section", { class: "panel", "aria-label": title }, h("header", {}, h("h2", {}, title), tag && h("span", { class: "tag plain" }, tag)),
      h("div", { class: "inside" }, of.problem ? h("p", { class: "notice bad" }, of.problem)
        : [h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])), chart({ label: title, series: [series], now, top: 1 })]));
  }

  database(of) {
    const { facts } = of;
    return this.server(t("database"), of, facts?.version && `${facts.version} · ${t(facts.standby ? "standby" : "primary")}`, [
      [t("size"), bytes(facts?.bytes)], [t("connections"), `${count(facts?.connections)} / ${count(facts?.most)}`],
      [t("cache_hits"), facts?.cache_hits === undefined || facts.cache_hits === null ? "–" : `${(facts.cache_hits * 100).toFixed(1)} %`], [t("deadlocks"), count(facts?.deadlocks)],
    ], this.samples.map((sample) => ({ at: sample.at, value: sample.dbConnections })), this.drawnAt);
  }

  redis(now) {
    const { facts } = now.redis;
    return this.server(t("redis"), now.redis, facts?.redis_version && `${facts.redis_version} · ${facts.role}`, [
      [t("memory_used"), `${bytes(facts?.used_memory)}${facts?.maxmemory ? ` / ${bytes(facts.maxmemory)}` : ""}`], [t("policy"), h("span", { class: "mono" }, facts?.maxmemory_policy ?? "–")],
      [t("ops"), count(facts?.instantaneous_ops_per_sec)], [t("evicted"), count(facts?.evicted_keys)], [t("uptime"), duration((facts?.uptime_in_seconds ?? 0) * 1000)],
    ], this.samples.map((sample) => ({ at: sample.at, value: sample.redisBytes })), now.at);
  }
}

customElements.define("ua-watch", Watch);
