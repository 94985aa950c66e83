// A timeline event as a row: who said what, when, and the way to its whole life.

import { me } from "./api.js";
import { h, outside, svg } from "./dom.js";
import { clock, json } from "./format.js";
import { form, ofFields, ofSchema } from "./forms.js";
import { inline, plain, rich } from "./rich.js";
import { language, t } from "./words.js";

const SUBMIT = "submit_data_collection";
const BUILTIN = "builtin_chat";

export function nameOf(providerId) {
  const found = me?.providers.find((provider) => provider.providerId === providerId);
  if (found) return language() === "zh" ? found.zh : found.en;
  return providerId === BUILTIN || !providerId ? t("builtin_chat") : providerId;
}

function row(event, kind, from, ...what) {
  return h(
    "div",
    { class: `event ${kind}`, data: { kind: event.kind, seq: event.seq } },
    h("span", { class: "from", title: event.providerId ?? event.userId }, from),
    h("div", { class: "what" }, what),
    h("span", { class: "at" },
      event.eventId ? h("a", { href: `#/life/${encodeURIComponent(event.eventId)}`, title: `${t("open_life")} · ${new Date(event.timestampMs).toISOString()}` }, clock(event.timestampMs)) : ""),
  );
}

/** Buttons of which one is tapped; while it is on its way none can be. */
function chips(options, tap, disabled) {
  const wrong = h("p", { class: "wrong small", role: "alert" });
  const buttons = options.map((option) =>
    h("button", {
      type: "button",
      class: { primary: "primary", danger: "danger" }[option.style] ?? "",
      disabled,
      onclick: async () => {
        for (const button of buttons) button.disabled = true;
        wrong.textContent = "";
        try {
          await tap(option);
        } catch (problem) {
          wrong.textContent = problem.message;
          for (const button of buttons) button.disabled = false;
        }
      },
    }, option.label),
  );
  return [h("div", { class: "chips" }, buttons), wrong];
}

/** `with`: { act(event, actionId, payload), cancel(event), retry(event), runs: Map, submitted: Map, session } */
export function render(event, using) {
  const { payload } = event;
  switch (event.kind) {
    case "inbound":
      return inbound(event, payload.input ?? {});
    case "routing_decision":
      return routing(event, payload, using);
    case "provider_run":
      return run(event, payload, using);
    case "interaction":
      return interaction(event, payload.event ?? {}, payload.source, using);
    case "user_interaction":
      return answer(event, payload, using);
    case "domain_event":
      return domain(event, payload.event ?? {});
    default:
      return row(event, "slim", nameOf(event.providerId), h("details", {}, h("summary", {}, t(event.kind === "delivery_event" ? "delivery_report" : event.kind)), json(payload)));
  }
}

function inbound(event, input) {
  if (input.text === undefined && !input.attachments) return row(event, "person", t("you"), json(event.payload));
  return row(event, "person", t("you"), input.text && h("p", { class: "text" }, input.text), (input.attachments ?? []).map(attachment));
}

function attachment(of) {
  const label = `${t("attachment")}: ${of.name ?? of.title ?? of.type ?? of.id ?? "?"}${of.mime ? ` (${of.mime})` : ""}`;
  if (typeof of.url === "string" && of.url.startsWith("data:text/calendar")) return calendar(of.url, label);
  return h("p", { class: "small" }, "📎 ", of.url ? outside(of.url, label) : label);
}

/** A calendar file that came as data: saved, never opened here. */
function calendar(data, label) {
  const comma = data.indexOf(",");
  const isBase64 = data.slice(0, comma).endsWith(";base64");
  const save = () => {
    const raw = isBase64 ? Uint8Array.from(atob(data.slice(comma + 1)), (one) => one.charCodeAt(0)) : decodeURIComponent(data.slice(comma + 1));
    const url = URL.createObjectURL(new Blob([raw], { type: "text/calendar" }));
    h("a", { href: url, download: "event.ics" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  };
  return h("p", { class: "file" }, h("button", { type: "button", onclick: save }, calendarMark(), label));
}

function calendarMark() {
  return svg("svg", { class: "glyph", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: "M2.5 3.5h11v10h-11zM2.5 6.5h11M5.5 1.5v3.5M10.5 1.5v3.5" }));
}

function clockMark() {
  return svg("svg", { class: "glyph", viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: "M8 2.5a5.5 5.5 0 1 1 0 11a5.5 5.5 0 0 1 0-11M8 5v3l2 1.5" }));
}

function routing(event, decision, using) {
  const { candidates = [] } = decision;
  const asked = candidates.filter((each) => using.asked.has(`${event.traceId} ${each.providerId}`));
  const summary = asked.length ? t("routed_to", { names: asked.map((each) => nameOf(each.providerId)).join(", ") }) : t("routed_nobody");
  const best = candidates[0];
  const memory = using.session?.memory ?? {};
  const facts = [
    [t("sticky"), memory.sticky && `${nameOf(memory.sticky)} (+${((memory.boost ?? 0) / 1000).toFixed(2)})`],
    [t("floor"), memory.floor && nameOf(memory.floor.provider_id ?? memory.floor.providerId)],
    [t("spoken"), memory.locale],
    [t("zone"), memory.timezone],
    [t("fallback"), decision.fallback],
    [t("trace"), event.traceId],
  ].filter(([, value]) => value);
  const table = candidates.length > 0 && h("table", {},
    h("thead", {}, h("tr", {}, h("th", {}, t("candidates")), h("th", {}, t("score")), h("th", {}, t("why")))),
    h("tbody", {}, candidates.map((each) => h("tr", {},
      h("td", {}, nameOf(each.providerId), " ", asked.includes(each) && h("span", { class: "tag good plain" }, "✓")),
      h("td", { class: "nowrap" }, meter(each.score / 1.1), each.score.toFixed(2)),
      h("td", {}, each.reason || "–")))));
  return row(event, "slim", "", h("details", { class: "routing" },
    h("summary", {}, "↳ ", summary, best && asked.length ? h("span", { class: "muted" }, best.score.toFixed(2)) : ""),
    h("div", { class: "opened" }, decision.requiresUserConfirmation && h("p", { class: "notice" }, t("needs_confirmation")), table,
      facts.length > 0 && h("div", {}, h("h3", {}, t("memory")), h("dl", { class: "facts" }, facts.map(([name, value]) => [h("dt", {}, name), h("dd", { class: "mono" }, value)]))))));
}

function meter(share) {
  const bar = h("i");
  bar.style.width = `${Math.round(Math.max(0, Math.min(1, share)) * 100)}%`;
  return h("span", { class: "meter", "aria-hidden": "true" }, bar);
}

function run(event, payload, using) {
  const { status } = payload;
  const isOpen = ["pending", "running"].includes(using.runs.get(event.runId)) && using.newestOfRun.get(event.runId) === event.seq;
  const tone = { completed: "good", failed: "bad", cancelled: "warn" }[status] ?? "info";
  return row(event, "slim", "",
    h("div", { class: "row" }, h("span", { class: `tag ${tone}` }, nameOf(payload.providerId), " ", t(`run_${status}`)),
      isOpen && payload.providerId !== BUILTIN && h("button", { type: "button", class: "quiet danger cancel-run", onclick: (click) => {
        click.target.disabled = true;
        using.cancel(event).catch((problem) => click.target.replaceWith(h("span", { class: "wrong small" }, problem.message)));
      } }, t("cancel_run"))));
}

function interaction(event, said, source, using) {
  const from = source === "provider" ? nameOf(event.providerId) : t("system");
  const isOver = using.runs.get(event.runId) === "cancelled";
  switch (said.type) {
    case "ack":
      return row(event, "", from, said.message ? h("div", { class: "muted" }, plain(said.message)) : "…");
    case "assistant_message":
      return row(event, "", from, said.markdown ? rich(said.text ?? "") : plain(said.text ?? ""),
        said.choices?.length > 0 && chips(said.choices, (choice) => using.act(event, choice.key), isOver));
    case "card":
      return row(event, "", from, h("div", { class: "card" }, h("h4", {}, said.title), said.body && h("p", { class: "text small" }, inline(said.body)),
        (said.media ?? []).map((medium) => (typeof medium === "object" && medium ? attachment(medium) : json(medium))),
        said.actions?.length > 0 && chips(said.actions, (action) => using.act(event, action.actionId, action.payload), isOver)));
    case "request_clarification":
      return row(event, "", from, h("div", { class: "card" }, h("p", {}, said.question), clarify(event, said, using, isOver)));
    case "nav":
      return row(event, "", from, /\.ics$/i.test(String(said.href).split(/[?#]/)[0]) ? h("p", { class: "file" }, calendarMark(), outside(said.href, said.label)) : outside(said.href, said.label));
    case "error":
      return row(event, "", from, h("div", { class: "card problem" }, h("p", {}, said.userMessage),
        said.debugMessage && h("details", {}, h("summary", { class: "small muted" }, t("details")), h("p", { class: "mono small" }, said.debugMessage)),
        said.retryable && chips([{ label: t("retryable") }], () => using.retry(event))));
    case "form":
      return row(event, "", from, h("div", { class: "card" }, form({ key: event.eventId, title: said.title, fields: ofFields(said.fields ?? []),
        submitLabel: said.submit?.label, disabled: isOver, onsubmit: (values) => using.act(event, said.submit?.actionId ?? SUBMIT, { values }) })));
    case "provider_extension":
      return extension(event, said, from, using);
    default:
      return row(event, "slim", from, json(said));
  }
}

function clarify(event, said, using, isOver) {
  if (!said.multi) return chips(said.choices ?? [], (choice) => using.act(event, choice.key), isOver);
  const of = { type: "array", items: { oneOf: (said.choices ?? []).map(({ key, label }) => ({ const: key, title: label })) } };
  return form({ key: event.eventId, fields: [{ name: "choices", label: said.question, of, required: true }], disabled: isOver,
    onsubmit: ({ choices }) => using.act(event, choices[0], { choices }) });
}

function extension(event, said, from, using) {
  const of = said.payload ?? {};
  if (said.extensionKind === "data_collection_progress") {
    const { step = 0, total = 0, label } = of.progress ?? {};
    return row(event, "", from, h("div", { class: "row small" }, h("progress", { value: step, max: Math.max(1, total), "aria-label": label ?? t("step_of", { step, total }) }), t("step_of", { step, total }), label && h("span", { class: "muted" }, label)));
  }
  if (said.extensionKind === "data_collection_result") {
    const fields = ofSchema(of.dataSchema ?? {}, of.uiSchema ?? {});
    const values = of.values ?? {};
    return row(event, "", from, h("div", { class: "card" }, h("h4", {}, "✓ ", of.dataSchema?.title ?? t("submitted")),
      h("dl", { class: "facts" }, fields.filter((field) => values[field.name] !== undefined).map((field) => [h("dt", {}, field.label), h("dd", {}, shown(values[field.name]))]))));
  }
  const later = using.submitted.get(event.runId) ?? 0;
  const isAnswered = later > event.seq;
  const isOver = using.runs.get(event.runId) === "cancelled";
  const schema = of.dataSchema ?? {};
  const ui = of.uiSchema ?? {};
  return row(event, "", from, h("div", { class: "card" }, isAnswered ? h("p", { class: "muted small" }, schema.title ?? "", " · ", t("answered"))
    : form({ key: event.eventId, title: schema.title, fields: ofSchema(schema, ui), values: of.values, disabled: isOver,
      submitLabel: ui["ui:submitButtonOptions"]?.submitText, onsubmit: (values) => using.act(event, SUBMIT, { taskId: of.taskId, values }) })));
}

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function answer(event, payload, using) {
  const label = using.labels.get(`${payload.runId} ${payload.actionId}`) ?? using.labels.get(payload.actionId);
  const values = payload.payload?.values;
  if (payload.actionId?.startsWith(SUBMIT)) {
    return row(event, "person", t("you"), h("div", { class: "text" }, t("submitted"), values && h("dl", { class: "facts" }, Object.entries(values).map(([name, value]) => [h("dt", {}, using.fields.get(`${payload.runId} ${name}`) ?? name), h("dd", {}, shown(value))]))));
  }
  return row(event, "person", t("you"), h("p", { class: "text" }, label ?? h("span", { class: "mono" }, payload.actionId)));
}

function domain(event, said) {
  const tone = { warning: "warn", critical: "problem" }[said.severity] ?? "";
  return row(event, "", nameOf(said.providerId ?? event.providerId), h("div", { class: `card ${tone}` },
    h("h4", {}, said.eventType === "reminder" ? clockMark() : { progress: "⋯ ", approval_required: "✋ ", exception: "⚠ ", summary: "Σ " }[said.eventType] ?? "", said.title),
    said.body && h("p", { class: "text small" }, inline(said.body)),
    said.related?.href && outside(said.related.href, t("details"))));
}

export function draft(of) {
  return h("div", { class: "event draft" }, h("span", { class: "from" }, nameOf(of.providerId)),
    h("div", { class: "what" }, h("p", { class: "text" }, of.text)), h("span", { class: "at" }, t("writing")));
}
