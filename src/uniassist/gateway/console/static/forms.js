// A form from its JSON Schema and uiSchema, or from a list of fields. It checks before it sends; the provider checks too.

import { h, set } from "./dom.js";
import { t } from "./words.js";

const drafts = new Map(); // what was typed, by form: a row that scrolls out of sight and back keeps it

/** Fields of a data_collection_request. */
export function ofSchema(schema, ui) {
  const known = Object.keys(schema.properties ?? {});
  const ordered = (ui["ui:order"] ?? []).filter((name) => known.includes(name));
  const names = [...ordered, ...known.filter((name) => !ordered.includes(name))];
  return names.map((name) => {
    const of = schema.properties[name] ?? {};
    const shown = ui[name] ?? {};
    return {
      name,
      of,
      label: shown["ui:title"] ?? of.title ?? name,
      help: shown["ui:description"] ?? shown["ui:help"] ?? of.description,
      placeholder: shown["ui:placeholder"],
      widget: shown["ui:widget"],
      required: (schema.required ?? []).includes(name),
      readOnly: Boolean(shown["ui:readonly"] ?? of.readOnly),
    };
  });
}

/** Fields of a `form` interaction. */
export function ofFields(fields) {
  return fields.map((field) => ({
    name: field.fieldId,
    label: field.label,
    placeholder: field.placeholder,
    required: Boolean(field.required),
    widget: field.kind === "date" ? "date" : undefined,
    of: field.kind === "select" ? { type: "string", oneOf: (field.options ?? []).map(({ key, label }) => ({ const: key, title: label })) }
      : { type: "string", format: field.kind === "date" ? "date" : undefined },
  }));
}

function choices(of) {
  if (Array.isArray(of.oneOf)) return of.oneOf.map((one) => ({ value: one.const, label: one.title ?? String(one.const) }));
  if (Array.isArray(of.enum)) return of.enum.map((value, at) => ({ value, label: of.enumNames?.[at] ?? String(value) }));
  return null;
}

function typeOf(of) {
  return Array.isArray(of.type) ? of.type.find((each) => each !== "null") : of.type;
}

/** What is wrong with a value, in words; null: nothing. */
export function problem(field, value) {
  const { of } = field;
  const isEmpty = value === undefined || value === "" || (Array.isArray(value) && !value.length);
  if (isEmpty) return field.required ? t("must_fill") : null;
  if (["number", "integer"].includes(typeOf(of))) {
    if (typeof value !== "number" || Number.isNaN(value)) return t("bad_number");
    if (typeOf(of) === "integer" && !Number.isInteger(value)) return t("bad_number");
    const { minimum = -Infinity, maximum = Infinity } = of;
    if (value < minimum || value > maximum) return t("bad_range", { low: minimum, high: maximum });
  }
  if (typeof value === "string") {
    const length = [...value].length;
    if (of.maxLength !== undefined && length > of.maxLength) return t("too_long", { most: of.maxLength });
    if (of.minLength !== undefined && length < of.minLength) return t("too_short", { least: of.minLength });
    if (of.format === "date" && !isDate(value)) return t("bad_date");
    if (of.pattern && !matches(of.pattern, value)) return t("bad_pattern");
  }
  const options = choices(of);
  if (options && !options.some((option) => option.value === value)) return t("bad_choice");
  return null;
}

function isDate(text) {
  const at = new Date(`${text}T00:00:00Z`);
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text);
}

function matches(pattern, value) {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true; // a pattern that isn't one refuses nobody; the provider checks
  }
}

class Form extends HTMLElement {
  /** `given`: { key, fields, submitLabel, title, values, disabled, onsubmit(values) → promise } */
  set given(given) {
    this.form = given;
    const kept = drafts.get(given.key) ?? given.values ?? {};
    this.values = Object.fromEntries(given.fields.map((field) => [field.name, kept[field.name] ?? field.of.default]));
    this.wrong = {};
    this.build();
  }

  build() {
    const { fields, submitLabel, title, disabled } = this.form;
    this.said = h("p", { class: "wrong", role: "alert" });
    this.button = h("button", { class: "primary", disabled }, submitLabel ?? t("submit"));
    set(
      this,
      h(
        "form",
        { noValidate: true, "aria-label": title ?? t("submit"), onsubmit: (event) => this.submit(event) },
        title && h("h4", {}, title),
        fields.map((field) => this.field(field)),
        h("div", { class: "row" }, this.button, this.said),
      ),
    );
  }

  field(field) {
    const idOf = `f-${this.form.key}-${field.name}`.replace(/[^\w-]/g, "_");
    const wrong = h("p", { class: "wrong", id: `${idOf}-wrong` });
    const shared = {
      id: idOf,
      name: field.name,
      disabled: this.form.disabled || field.readOnly,
      placeholder: field.placeholder ?? "",
      "aria-describedby": `${idOf}-wrong`,
      "aria-required": field.required ? "true" : null,
      oninput: (event) => this.note(field, event.target, wrong),
      onchange: (event) => this.note(field, event.target, wrong),
    };
    const input = this.input(field, shared);
    const isCheck = typeOf(field.of) === "boolean";
    const label = h("label", { htmlFor: idOf, class: isCheck ? "check" : null }, isCheck && input, h("span", {}, field.label, field.required && h("span", { class: "need", "aria-hidden": "true" }, " *")));
    return h("div", { class: "field", data: { field: field.name } }, label, !isCheck && input, field.help && h("p", { class: "muted tiny" }, field.help), wrong);
  }

  input(field, shared) {
    const { of, widget } = field;
    const value = this.values[field.name];
    const options = choices(of);
    if (typeOf(of) === "boolean") return h("input", { ...shared, type: "checkbox", checked: Boolean(value) });
    if (typeOf(of) === "array" && choices(of.items ?? {})) {
      const chosen = Array.isArray(value) ? value : [];
      return h("div", { class: "options", id: shared.id, role: "group", "aria-label": field.label },
        choices(of.items).map((option) => h("label", {}, h("input", { type: "checkbox", value: String(option.value), checked: chosen.includes(option.value), disabled: shared.disabled, onchange: shared.onchange, name: field.name }), option.label)));
    }
    if (options && widget === "radio") {
      return h("div", { class: "options", id: shared.id, role: "radiogroup", "aria-label": field.label },
        options.map((option) => h("label", {}, h("input", { type: "radio", name: shared.id, value: String(option.value), checked: option.value === value, disabled: shared.disabled, onchange: shared.onchange }), option.label)));
    }
    if (options) {
      return h("select", shared, h("option", { value: "" }, field.placeholder ?? "–"),
        options.map((option) => h("option", { value: String(option.value), selected: option.value === value }, option.label)));
    }
    if (widget === "textarea") return h("textarea", { ...shared, rows: 3, value: value ?? "" });
    const type = of.format === "date" || widget === "date" ? "date" : of.format === "date-time" ? "datetime-local" : of.format === "time" ? "time" : ["number", "integer"].includes(typeOf(of)) ? "number" : of.format === "email" ? "email" : "text";
    return h("input", { ...shared, type, value: value ?? "", step: typeOf(of) === "number" ? "any" : null });
  }

  note(field, input, wrong) {
    const { of } = field;
    const options = choices(of);
    if (typeOf(of) === "boolean") this.values[field.name] = input.checked;
    else if (typeOf(of) === "array") {
      const chosen = [...this.querySelectorAll(`[data-field="${CSS.escape(field.name)}"] input:checked`)].map((each) => each.value);
      this.values[field.name] = (choices(of.items ?? {}) ?? []).filter((option) => chosen.includes(String(option.value))).map((option) => option.value);
    } else if (options) this.values[field.name] = options.find((option) => String(option.value) === input.value)?.value;
    else if (["number", "integer"].includes(typeOf(of))) this.values[field.name] = input.value === "" ? undefined : Number(input.value);
    else this.values[field.name] = input.value;
    drafts.set(this.form.key, { ...this.values });
    if (this.wrong[field.name]) this.check(field, wrong);
  }

  check(field, wrong) {
    const found = problem(field, this.values[field.name]);
    this.wrong[field.name] = found;
    wrong.textContent = found ?? "";
    const input = wrong.parentElement.querySelector("input, select, textarea");
    if (found) input?.setAttribute("aria-invalid", "true");
    else input?.removeAttribute("aria-invalid");
    return found;
  }

  async submit(event) {
    event.preventDefault();
    const bad = this.form.fields.filter((field) => this.check(field, this.querySelector(`[data-field="${CSS.escape(field.name)}"] .wrong`)));
    if (bad.length) {
      this.said.textContent = t("fix_first");
      this.querySelector('[aria-invalid="true"]')?.focus();
      return;
    }
    this.said.textContent = "";
    this.button.disabled = true;
    try {
      const given = Object.entries(this.values).filter(([, value]) => value !== undefined && value !== "");
      await this.form.onsubmit(Object.fromEntries(given));
      drafts.delete(this.form.key);
    } catch (problem) {
      this.said.textContent = problem.message;
      this.button.disabled = false;
    }
  }
}

customElements.define("ua-form", Form);

export function form(given) {
  const element = document.createElement("ua-form");
  element.given = given;
  return element;
}
