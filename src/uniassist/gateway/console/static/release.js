// Release: what the release tool has recorded, as it happens. It shows; rolling out and back stay in the terminal.

import { get, me } from "./api.js";
import { h, set } from "./dom.js";
import { clock, duration, time } from "./format.js";
import { t } from "./words.js";

const EVERY_MS = 2000;
const at = (iso) => (iso ? Date.parse(iso) : null);

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
      const drawn = JSON.stringify([{ ...found, now: Math.floor(found.now / 5000) }, watch.now?.services]);
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
    const place = this.parentElement?.scrollTop ?? 0;
    const tag = (release) => found.releases[release]?.tag ?? release;
    const copy = (command) => h("button", { type: "button", onclick: () => navigator.clipboard?.writeText(command) }, t("copy"));
    set(this, h("div", { class: "page" },
      found.problems.length > 0 && h("p", { class: "notice warn" }, t("files_problem"), ": ", found.problems.join("; ")),
      h("div", { class: "command" }, h("b", {}, t("next_command")), h("code", {}, found.nextCommand), copy(found.nextCommand), found.safeCommand !== found.nextCommand && h("span", { class: "muted small nowrap" }, t("or_safe"), " ", h("code", {}, found.safeCommand))),
      found.environments.map((environment) => this.environment(environment, found, services, tag)),
      found.incidents.map((incident) => this.incident(incident)),
      found.runs.map((run, index) => this.run(run, found, index === 0)),
      found.reports.length > 0 && h("section", { class: "panel", "aria-label": t("reports") }, h("header", {}, h("h2", {}, t("reports"))), h("div", { class: "inside" }, found.reports.map((report) => this.report(report))))));
    for (const one of this.querySelectorAll("details")) if (open.has(one.dataset.key)) one.open = true;
    if (this.parentElement) this.parentElement.scrollTop = place;
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
      h("dl", { class: "facts" }, Object.entries(watch.services ?? {}).map(([name, seen]) => [h("dt", {}, name), h("dd", {}, h("span", { class: `tag ${seen.state === "ok" ? "good" : "bad"}` }, seen.state), " ", seen.detail ?? "", seen.countedSeconds > 0 && ` · ${t("counted_of", { seconds: Math.round(seen.countedSeconds) })}`)])),
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

  incident(incident) {
    const { facts = {}, causes = [] } = incident;
    const cause = causes.at(-1);
    return h("p", { class: `notice ${cause ? "" : "bad"}` }, h("b", {}, t(cause ? "incident_closed" : "incident_open")), ` ${facts.environment}: ${facts.released?.tag} → ${facts.target?.tag}, ${facts.trigger}`,
      cause && ` · ${cause.text} (${cause.by})`, (facts.left ?? []).map((line) => ` · ${line}`));
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

  report(report) {
    const failed = report.exitCode !== 0 && report.exitCode !== undefined;
    const steps = Array.isArray(report.steps) ? report.steps : [];
    const rest = Object.fromEntries(Object.entries(report).filter(([name]) => !["steps", "file"].includes(name)));
    return h("details", { data: { key: report.file } }, h("summary", { class: "row small" }, h("span", { class: `tag ${failed ? "bad" : "good"}` }, String(report.command ?? "").replace("release ", "")), report.revision ?? "", " ", h("span", { class: "muted small" }, report.environment ?? "", " ", time(at(report.endedAt ?? report.startedAt)))),
      h("div", { class: "opened" }, steps.length > 0 && h("ol", { class: "steps" }, steps.map((step) => h("li", {}, h("span", { class: `tag ${{ ok: "good", failed: "bad", skipped: "warn" }[step.result] ?? ""}` }, step.result),
        h("span", {}, h("b", {}, step.name), step.detail && h("span", { class: "muted" }, ` ${step.detail}`), step.next && h("p", {}, t("next_command"), " ", h("code", {}, step.next))), h("span", { class: "muted" }, step.seconds ? duration(step.seconds * 1000) : "")))),
        h("pre", { class: "json" }, JSON.stringify(rest, null, 2))));
  }
}

customElements.define("ua-release", Release);
