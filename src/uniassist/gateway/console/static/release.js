// Release: what the release tool has recorded, as it happens. It shows; rolling out and back stay in the terminal.

import { get, me } from "./api.js";
import { h, set } from "./dom.js";
import { clock, duration, time } from "./format.js";
import { at, evidence, incident, report } from "./reports.js";
import { t } from "./words.js";

const EVERY_MS = 2000;
const STAGES = ["preflight", "gate", "rollout", "verify", "watch"];
const TONES = { good: "good", bad: "bad", now: "info" };

/** How far the newest release is: for each stage what it came to, and when. */
export function stages(found) {
  const of = (command) => found.reports.filter((one) => one.command === `release ${command}`);
  const rollout = found.runs.find((run) => run.kind === "rollout");
  const newest = [...of("preflight"), ...of("gate")].map((one) => [at(one.endedAt), one.revision]);
  if (rollout) newest.push([at(rollout.startedAt), rollout.targetTag]);
  const [, tag] = newest.filter(([, revision]) => revision).sort(([one], [other]) => other - one)[0] ?? [];
  if (!tag) return null;
  const told = (one) => one && { tone: one.exitCode ? "bad" : "good", said: one.result ?? "", at: at(one.endedAt) };
  const preflight = of("preflight").find((one) => one.revision === tag);
  const gate = of("gate").find((one) => one.revision === tag && (!preflight || at(one.endedAt) >= at(preflight.startedAt)));
  const run = rollout?.targetTag === tag && (!gate || at(rollout.startedAt) >= at(gate.startedAt)) ? rollout : null;
  const verify = run && of("verify").find((one) => one.expectedRevision === tag && at(one.endedAt) >= at(run.startedAt));
  const watched = run && found.environments.map((one) => one.watch).find((one) => one?.revision === tag && at(one.since) >= at(run.startedAt));
  return { tag, of: {
    preflight: told(preflight), gate: told(gate), verify: told(verify),
    rollout: run && { tone: { finished: "good", stopped: "bad" }[run.condition] ?? "now", said: run.result ?? t(`condition_${run.condition.split(" ")[0]}`), at: at(run.endedAt ?? run.startedAt) },
    watch: watched && { tone: watched.fired ? "bad" : watched.ended ? "good" : "now", said: watched.ended ?? t("watches"), at: at(watched.endedAt ?? watched.since) },
  } };
}


class Release extends HTMLElement {
  connectedCallback() {
    this.timer = setInterval(() => document.visibilityState === "visible" && me.showsReleases && this.look(), EVERY_MS);
  }

  disconnectedCallback() {
    clearInterval(this.timer);
  }

  show() {
    this.drawn = null;
    if (me.showsReleases) this.look();
    else set(this, h("p", { class: "empty" }, t("no_releases")));
  }

  async look() {
    try {
      const found = await get("releases");
      const watch = await get("watch", { since: Date.now() + 3_600_000 }).catch(() => ({}));
      const isOver = found.runs.every((run) => run.endedAt) && found.environments.every((one) => !one.watch || one.watch.ended);
      const drawn = JSON.stringify([{ ...found, now: isOver ? 0 : Math.floor(found.now / 5000) }, watch.now?.services.map((one) => [one.name, one.state, one.revision])]);
      if (drawn === this.drawn) return;
      this.drawn = drawn;
      this.draw(found, watch.now?.services ?? []);
    } catch (problem) {
      this.drawn = null;
      set(this, h("div", { class: "page" }, h("p", { class: "notice bad", role: "alert" }, problem.status ? problem.message : t("away"))));
    }
  }

  draw(found, services) {
    const open = new Set([...this.querySelectorAll("details[open]")].map((one) => one.dataset.key));
    const known = new Set([...this.querySelectorAll("details[data-key]")].map((one) => one.dataset.key));
    const place = this.parentElement?.scrollTop ?? 0;
    const last = this.querySelector("section > .journal");
    const read = last && last.scrollTop + last.clientHeight < last.scrollHeight - 4 ? last.scrollTop : null;
    const tag = (release) => found.releases[release]?.tag ?? release;
    const copy = (command) => h("button", { type: "button", onclick: () => navigator.clipboard?.writeText(command) }, t("copy"));
    set(this, h("div", { class: "page" },
      found.problems.length > 0 && h("p", { class: "notice warn" }, t("files_problem"), ": ", found.problems.join("; ")),
      h("div", { class: "command" }, h("b", {}, t("next_command")), h("code", {}, found.nextCommand), copy(found.nextCommand), found.safeCommand !== found.nextCommand && h("span", { class: "muted small nowrap" }, t("or_safe"), " ", h("code", {}, found.safeCommand))),
      this.stages(stages(found)),
      found.environments.map((environment) => this.environment(environment, found, services, tag)),
      group("incidents", found.incidents.map(incident)),
      found.runs.map((run, index) => this.run(run, found, index === 0)),
      group("reports", found.reports.map(report)),
      group("evidence", found.evidence.map(evidence))));
    for (const one of this.querySelectorAll("details[data-key]")) if (known.has(one.dataset.key)) one.open = open.has(one.dataset.key);
    if (this.parentElement) this.parentElement.scrollTop = place;
    const journal = this.querySelector("section > .journal");
    if (journal) journal.scrollTop = read ?? journal.scrollHeight;
  }

  environment(environment, found, services, tag) {
    const { deployed } = environment;
    const verified = deployed.verified ?? [];
    const names = [...new Set([...Object.keys(deployed.services ?? {}), ...services.map((one) => one.name)])];
    const isDrift = (name, seen) => Boolean(deployed.services?.[name] && seen?.revision && seen.revision !== tag(deployed.services[name]));
    const previous = verified.filter((one) => one.release !== deployed.current).at(-1);
    return h("section", { class: "panel", "aria-label": environment.name }, h("header", {}, h("h2", {}, environment.name),
      h("span", { class: "muted" }, t("current"), " ", h("b", {}, deployed.current ? tag(deployed.current) : t("nothing_deployed"))), previous && h("span", { class: "muted" }, t("previous"), " ", h("b", {}, tag(previous.release)))),
      names.length > 0 && h("div", { class: "scroller", tabIndex: 0 }, h("table", {}, h("thead", {}, h("tr", {}, ["service", "given", "running_as", "state"].map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, names.map((name) => {
          const seen = services.find((one) => one.name === name);
          return h("tr", {}, h("td", {}, name), h("td", { class: "mono" }, deployed.services?.[name] ? tag(deployed.services[name]) : "–"), h("td", { class: "mono" }, seen?.revision ?? "–", " ", isDrift(name, seen) && h("span", { class: "tag warn plain", title: t("drift") }, "≠ ", t("drift"))),
            h("td", {}, seen ? h("span", { class: `tag ${{ ok: "good", degraded: "warn" }[seen.state] ?? "bad"}` }, t(`service_${seen.state}`)) : "–"));
        })))),
      verified.length > 0 && h("div", { class: "inside verified small row" }, verified.map((one) => h("span", { class: "tag good", title: one.at }, t("verified"), " ", tag(one.release)))),
      h("header", {}, h("h3", {}, t("release_watch"))), h("div", { class: "inside" }, this.watch(environment, found.now)));
  }

  watch(environment, now) {
    const { watch, trigger } = environment;
    if (!watch) return h("p", { class: "muted small" }, t("no_watch"));
    const quiet = !watch.ended && now - at(watch.heartbeat) > 30_000;
    const ended = watch.ended ? t("watch_ended", { how: watch.ended }) : quiet ? t("watch_dead", { since: clock(at(watch.heartbeat)) }) : t("watch_until", { pid: watch.pid, until: clock(at(watch.until)) });
    return [
      h("p", { class: "row small" }, h("b", {}, watch.revision), h("span", { class: `tag ${quiet ? "bad" : watch.ended ? "" : "good"}` }, ended), t("rounds_ok", { count: watch.roundsOk ?? 0 })),
      h("div", { class: "scroller", tabIndex: 0 }, h("table", { class: "triggers" }, h("thead", {}, h("tr", {}, ["trigger", "state", "how_far"].map((name) => h("th", { scope: "col" }, t(name))))),
        h("tbody", {}, triggers(watch).map((one) => h("tr", {}, h("td", {}, one.subject, " ", h("span", { class: "muted small" }, t(`trigger_${one.kind}`))),
          h("td", {}, h("span", { class: `tag ${{ quiet: "good", rising: "bad", held: "warn" }[one.state] ?? ""}` }, t(`trigger_${one.state}`)), one.detail && h("span", { class: "muted small" }, " ", one.detail)),
          h("td", { class: "nowrap" }, share(one), ` ${one.value} / ${one.limit} ${unit(one)}`)))))),
      (watch.held ?? []).map((line) => h("p", { class: "notice warn" }, line)),
      (watch.alerts ?? []).slice(-3).map((line) => h("p", { class: "small why" }, line)),
      (trigger ?? watch.fired) && h("p", { class: "notice bad" }, t("triggered"), ": ", (trigger ?? watch.fired).subject, " · ", (trigger ?? watch.fired).reason),
    ];
  }

  run(run, found, isLast) {
    const tone = run.condition === "finished" ? "good" : run.condition === "stopped" ? "bad" : "info";
    const journal = h("ol", { class: "journal" }, run.journal.map((entry) => h("li", { class: entry.found?.failed ? "bad" : "" },
      h("span", { class: "muted mono" }, entry.at ? clock(Date.parse(entry.at)) : ""), h("span", { class: "kind muted" }, entry.kind), h("span", {}, h("b", {}, entry.service ?? entry.step), " ", entry.text ?? "", entry.found?.failed ? ` — ${entry.found.failed}` : "", entry.found?.seconds !== undefined ? h("span", { class: "muted" }, ` ${duration(entry.found.seconds * 1000)}`) : ""))));
    return h("section", { class: "panel", "aria-label": run.id }, h("header", {}, h("h2", {}, run.kind, " ", run.previousTag && `${run.previousTag} → `, run.targetTag), h("span", { class: `tag ${tone}` }, run.result ?? t(`condition_${run.condition.split(" ")[0]}`)),
      h("span", { class: "muted" }, run.environment, " · ", run.who, " · ", time(at(run.startedAt)))),
      run.kind === "rollback" && h("div", { class: "inside" }, this.budget(run, found.now)),
      run.trigger && h("p", { class: "inside" }, h("span", { class: "notice bad" }, t("triggered"), ": ", run.trigger)),
      Object.entries(run.failed ?? {}).map(([step, why]) => h("p", { class: "inside" }, h("span", { class: "notice bad" }, step, ": ", why))),
      isLast ? journal : h("details", { class: "inside", data: { key: run.id } }, h("summary", {}, t("journal")), journal));
  }

  stages(found) {
    return found && h("ol", { class: "stages", "aria-label": `${t("release")} ${found.tag}` }, STAGES.map((name) => {
      const one = found.of[name];
      return h("li", { class: one ? TONES[one.tone] : "", data: { stage: name } }, h("span", { class: "small muted" }, t(`stage_${name}`)), h("b", {}, one ? one.said : t("not_yet")), h("span", { class: "tiny muted" }, name === "preflight" ? `${found.tag} ` : "", one ? clock(one.at) : ""));
    }));
  }

  /** The runbook's fifteen minutes, from the first failed probe. */
  budget(run, now) {
    const began = at(run.firstFailedAt) ?? at(run.startedAt);
    const used = (at(run.endedAt) ?? now) - began;
    const most = run.budgetSeconds * 1000;
    const bar = h("i");
    bar.style.width = `${Math.min(100, (used / most) * 100)}%`;
    const said = used > most ? t("budget_over", { over: duration(used - most) }) : run.endedAt ? t("budget_used", { used: duration(used) }) : t("budget_left", { left: duration(most - used) });
    return [h("p", { class: "small" }, t("budget"), ": ", h("b", {}, said)), h("div", { class: `budget ${used > most ? "over" : ""}` }, bar)];
  }
}

function group(name, all) {
  return all.length > 0 && h("section", { class: "panel", "aria-label": t(name) }, h("header", {}, h("h2", {}, t(name))), h("div", { class: "inside" }, all));
}

/** With what was last seen of each service; an older watch says of its services only. */
function triggers(watch) {
  const detail = (one) => watch.services?.[one.subject]?.detail ?? (one.kind === "checks" ? watch.lastRound : "");
  const told = watch.triggers ?? Object.entries(watch.services ?? {}).map(([subject, seen]) => ({ kind: "health", subject, state: seen.state === "ok" ? "quiet" : "rising", value: seen.countedSeconds ?? 0, limit: 180 }));
  return told.map((one) => ({ ...one, detail: detail(one) }));
}

function unit(one) {
  if (one.kind === "health") return t("seconds");
  return one.kind === "checks" ? t("in_a_row") : t("in_window", { time: duration(one.windowSeconds * 1000) });
}

function share(one) {
  const bar = h("i");
  bar.style.width = `${Math.min(100, (one.value / Math.max(one.limit, 1e-9)) * 100)}%`;
  return h("span", { class: "meter", "aria-hidden": "true" }, bar);
}

customElements.define("ua-release", Release);
