// What the release tool wrote down, rendered: reports of gate, verify, drill and watch; incidents; evidence bundles.

import { get } from "./api.js";
import { h, set } from "./dom.js";
import { duration, id, json, time } from "./format.js";
import { t } from "./words.js";

export const at = (iso) => (iso ? Date.parse(iso) : null);
const RESULTS = { ok: "good", failed: "bad", skipped: "warn" };
const STATES = { attached: "good", recorded: "good", missing: "bad", open: "warn", "not needed": "" };
// Shown in their own way, or said by the line that opens a report.
const SHOWN = ["command", "exitCode", "environment", "startedAt", "endedAt", "result", "steps", "file", "revision", "revisions", "commandOutput", "cleanUp", "alerts", "trigger", "mode", "outages", "held"];

export function facts(rows) {
  const given = rows.filter((row) => row && row[1] !== undefined && row[1] !== null && row[1] !== false && row[1] !== "");
  return given.length > 0 && h("dl", { class: "facts" }, given.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

export const copyable = (command) => h("span", { class: "row small" }, h("code", {}, command), h("button", { type: "button", class: "quiet", onclick: () => navigator.clipboard?.writeText(command) }, t("copy")));

/** A report: a line that opens to its steps and what else it says. */
export function report(of) {
  const failed = of.exitCode !== 0 && of.exitCode !== undefined;
  const steps = Array.isArray(of.steps) ? of.steps : [];
  const name = String(of.command ?? "").replace("release ", "");
  const rest = Object.fromEntries(Object.entries(of).filter(([key, value]) => !SHOWN.includes(key) && value !== null));
  const took = at(of.endedAt) - at(of.startedAt);
  return h("details", { data: { key: of.file } },
    h("summary", { class: "row small" }, h("span", { class: `tag ${failed ? "bad" : "good"}` }, name), h("b", {}, of.result ?? ""), of.revision ?? of.expectedRevision ?? of.mode ?? "", " ", h("span", { class: "muted small" }, of.environment ?? "", " ", time(at(of.endedAt ?? of.startedAt)), took > 0 && ` · ${duration(took)}`)),
    h("div", { class: "opened" },
      facts([
        of.revisions && [t("running_as"), Object.entries(of.revisions).map(([service, revision]) => `${service} ${revision}`).join(", ")],
        of.trigger && [t("triggered"), `${of.trigger.subject} · ${of.trigger.reason}`],
        of.cleanUp && [t("clean_up"), of.cleanUp],
      ]),
      steps.length > 0 && h("ol", { class: "steps" }, steps.map(step)),
      [...(of.alerts ?? []), ...(of.outages ?? [])].map((line) => h("p", { class: "notice warn" }, line)),
      of.commandOutput?.length > 0 && h("pre", { class: "json" }, of.commandOutput.join("\n\n")),
      h("details", {}, h("summary", { class: "small muted" }, t("as_recorded")), json(rest))));
}

function step(one) {
  return h("li", {}, h("span", { class: `tag ${RESULTS[one.result] ?? ""}` }, one.result),
    h("span", {}, h("b", {}, one.name), one.detail && h("span", { class: "muted" }, ` ${one.detail}`), one.next && h("p", {}, t("next_command"), " ", copyable(one.next))),
    h("span", { class: "muted" }, one.seconds ? duration(one.seconds * 1000) : ""));
}

/** An incident note, opened: what failed, what was done in which time, what is left, and its cause. */
export function incident(of) {
  const seen = of.facts ?? {};
  const cause = (of.causes ?? []).at(-1);
  const probe = seen.firstFailed;
  const revision = (one) => one && [h("b", {}, one.tag), one.commit && [" ", id(one.commit, { keep: 10 })]];
  const spent = (from, to) => (from && to ? duration(at(to) - at(from)) : t("not_known"));
  const changed = ["added", "removed", "changed"].filter((kind) => seen.changed?.[kind]?.length).map((kind) => `${t(`names_${kind}`)}: ${seen.changed[kind].join(", ")}`);
  return h("details", { data: { key: `incident ${seen.run}` }, open: !cause },
    h("summary", { class: "row small" }, h("span", { class: `tag ${cause ? "good" : "bad"}` }, t(cause ? "incident_closed" : "incident_open")), h("span", {}, `${seen.released?.tag} → ${seen.target?.tag}`), h("span", { class: "muted" }, seen.environment, " ", time(at(of.openedAt)))),
    h("div", { class: "opened" },
      facts([
        [t("cause"), cause ? `${cause.text} (${cause.by})` : copyable(`uniassist release incident close ${seen.run} --cause "…"`)],
        [t("what_fired"), seen.trigger],
        [t("outcome"), seen.outcome],
        [t("released"), revision(seen.released)], [t("rolled_back_to"), revision(seen.target)],
        [t("first_failed"), probe && [time(at(probe.at)), ` ${probe.service} `, h("span", { class: "mono" }, probe.asked), ` ${probe.found}`]],
        [t("failed_to_trigger"), spent(probe?.at, seen.triggeredAt)],
        [t("trigger_to_verified"), spent(seen.triggeredAt, seen.verifiedAt)],
        [t("variables"), changed.join("; ")],
        [t("commits"), seen.commits && h("pre", { class: "json" }, [...(seen.commits.lines ?? []), seen.commits.said].filter(Boolean).join("\n"))],
      ]),
      (seen.left ?? []).map((line) => h("p", { class: "notice warn" }, t("left_to_do"), ": ", line)),
      (seen.logs ?? []).map((log) => h("details", {}, h("summary", { class: "small" }, t("log_of", { service: log.service })), h("pre", { class: "json" }, (log.lines ?? []).join("\n")))),
      seen.timeline?.length > 0 && h("details", {}, h("summary", { class: "small" }, t("journal")), h("ol", { class: "journal" }, seen.timeline.map((moment) => h("li", {},
        h("span", { class: "muted mono" }, time(at(moment.at))), h("span", { class: "kind muted" }, moment.kind), h("span", {}, moment.said)))))));
}

const shown = new Map(); // what was opened of each bundle: it stays when the page is drawn anew

/** An evidence bundle: the runbook's checklist, and its files, each a click away. */
export function evidence(of) {
  const text = h("div", {}, shown.get(of.folder));
  const open = async (name) => {
    try {
      const { text: whole } = await get("evidence", { folder: of.folder, file: name });
      shown.set(of.folder, h("div", {}, h("h3", {}, name), h("pre", { class: "json", tabIndex: 0 }, whole)));
    } catch (problem) {
      shown.set(of.folder, h("p", { class: "notice bad", role: "alert" }, problem.message));
    }
    set(text, shown.get(of.folder));
  };
  const file = (name) => h("button", { type: "button", class: "quiet small", onclick: () => open(name) }, name);
  const items = of.items ?? [];
  return h("details", { data: { key: `evidence ${of.folder}` } },
    h("summary", { class: "row small" }, h("span", { class: `tag ${of.complete ? "good" : "warn"}` }, t(of.complete ? "complete" : "incomplete")), h("b", {}, of.released?.tag), of.result, h("span", { class: "muted" }, of.environment, " ", time(at(of.builtAt)))),
    h("div", { class: "opened" },
      h("ol", { class: "steps" }, items.map((item) => h("li", {}, h("span", { class: `tag ${STATES[item.state] ?? ""}` }, item.state),
        h("span", {}, h("b", {}, item.title), h("span", { class: "muted" }, ` ${item.said}`), item.next && h("p", {}, t("next_command"), " ", copyable(item.next)), item.files?.length > 0 && h("p", {}, item.files.map(file))), ""))),
      facts([[t("seal"), of.seal && id(of.seal, { keep: 16 })], [t("check_it"), copyable(`uniassist release evidence check ${of.name}`)], [t("files"), ["evidence.md", ...Object.keys(of.sources ?? {})].map(file)]]),
      text));
}
