// The state: before and after a turn, and a form to change it, made out of its JSON schema.

import { brief, h, same, words } from "./dom.js";

export function drawState(page, take, act) {
  const before = take ? take.reply.state_before : page.stateNow;
  const head = h("div", { class: "card-head" }, h("h3", {}, take ? "The state, before and after" : "The state"),
    before && h("button", { type: "button", id: "edit-state", "aria-expanded": String(page.isEditing), onclick: act.edit }, page.isEditing ? "Cancel" : take ? "Edit and take again" : "Edit"));
  const note = h("p", { class: "note" }, "What is true, kept by the host. No message and no model changes it; effects do, in Python.");
  return h("section", { class: "card", id: "state" }, head, note, page.isEditing && before ? form(page, take, before, act) : table(page, take, before));
}

function table(page, take, before) {
  if (!before) return h("p", { class: "note" }, "This pack has no state of its own until the host gives one.");
  const after = take?.reply.state_after ?? null;
  const rows = Object.keys(before).map((name) => {
    const isChanged = after && !same(before[name], after[name]);
    return h("tr", { class: isChanged ? "changed" : "" }, h("th", { scope: "row" }, words(name)), h("td", {}, shown(before[name])), take && h("td", {}, after ? (isChanged ? shown(after[name]) : h("span", { class: "same", "aria-label": "unchanged" }, "same")) : "not run here"));
  });
  const changed = rows.filter((row) => row.className === "changed"), still = rows.filter((row) => row.className !== "changed");
  const head = h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "fact"), h("th", { scope: "col" }, take ? "before" : "now"), take && h("th", { scope: "col" }, "after")));
  return h("div", { class: "scroll" }, h("table", { class: "facts" }, head, h("tbody", {}, changed, still)));
}

function shown(value) {
  const isListOfThings = Array.isArray(value) && value.some((one) => one !== null && typeof one === "object");
  if (!isListOfThings) return brief(value);
  return h("details", {}, h("summary", {}, `${value.length} ${value.length === 1 ? "entry" : "entries"}`), h("ul", { class: "things" }, value.map((one) => h("li", {}, brief(one)))));
}

// -- the form ------------------------------------------------------------------------------------

function form(page, take, before, act) {
  const schema = page.catalog.state_schema;
  const fields = Object.keys(before).map((name) => field(name, resolved(schema.properties?.[name] ?? {}, schema), before[name], schema));
  const ordered = [...fields.filter((one) => !one.isJson), ...fields.filter((one) => one.isJson)];
  const problem = h("p", { class: "problem", role: "alert" });
  const submit = (event) => {
    event.preventDefault();
    try {
      act.useState(Object.fromEntries(fields.map(({ name, read }) => [name, read()])));
    } catch (error) {
      problem.textContent = error.message;
    }
  };
  return h("form", { class: "edit", onsubmit: submit }, h("div", { class: "fields" }, ordered.map((one) => one.node)), problem,
    h("p", { class: "actions" }, h("button", { type: "submit", class: "main" }, take ? "Take the turn again with this state" : "Use this state"),
      take && h("span", { class: "note" }, "The same message, the same history; only the facts differ.")));
}

// A schema with its reference followed and "or none" told apart.
function resolved(part, whole) {
  if (part.$ref) return { ...resolved(whole.$defs[part.$ref.split("/").at(-1)], whole), default: part.default };
  if (part.allOf?.length === 1) return { ...resolved(part.allOf[0], whole), default: part.default };
  const rest = part.anyOf?.filter((one) => one.type !== "null");
  if (rest?.length === 1 && rest.length < part.anyOf.length) return { ...resolved(rest[0], whole), isOptional: true };
  return part;
}

function field(name, part, value, whole) {
  const [control, read] = input(name, part, value, whole);
  const node = control.tagName === "FIELDSET" ? control : h("label", {}, h("span", {}, words(name)), control);
  return { name, node, read, isJson: control.className === "json" };
}

function input(name, part, value, whole) {
  if (part.type === "boolean" && !part.isOptional) {
    const box = h("input", { type: "checkbox", checked: value });
    return [box, () => box.checked];
  }
  if (part.enum) return oneOf(part, value);
  if (part.type === "array" && resolved(part.items ?? {}, whole).enum) return severalOf(name, resolved(part.items, whole).enum, value);
  if (part.type === "integer" || part.type === "number") return number(part, value);
  if (part.type === "string") return text(part, value);
  return asJson(name, value);
}

function oneOf(part, value) {
  const values = part.isOptional ? [null, ...part.enum] : part.enum;
  const select = h("select", {}, values.map((one, index) => h("option", { value: String(index) }, brief(one))));
  select.value = String(values.findIndex((one) => same(one, value)));
  return [select, () => values[Number(select.value)]];
}

function severalOf(name, values, value) {
  const boxes = values.map((one) => [one, h("input", { type: "checkbox", checked: (value ?? []).some((other) => same(one, other)) })]);
  const node = h("fieldset", {}, h("legend", {}, words(name)), boxes.map(([one, box]) => h("label", { class: "check" }, box, brief(one))));
  return [node, () => boxes.filter(([, box]) => box.checked).map(([one]) => one)];
}

function number(part, value) {
  const least = part.minimum ?? (part.exclusiveMinimum !== undefined && part.type === "integer" ? part.exclusiveMinimum + 1 : undefined);
  const box = h("input", { type: "number", value: value ?? "", step: part.type === "integer" ? 1 : "any", min: least, max: part.maximum, required: !part.isOptional });
  return [box, () => (box.value === "" ? null : Number(box.value))];
}

function text(part, value) {
  const type = { date: "date" }[part.format] ?? "text";
  const box = h("input", { type, value: value ?? "" });
  return [box, () => (box.value === "" && part.isOptional ? null : box.value)];
}

function asJson(name, value) {
  const told = Array.isArray(value) && value.length ? `[\n${value.map((one) => ` ${JSON.stringify(one)}`).join(",\n")}\n]` : JSON.stringify(value);
  const box = h("textarea", { rows: Math.min(12, told.split("\n").length + 1), spellcheck: "false", wrap: "off", class: "json", value: told });
  const read = () => {
    try {
      return JSON.parse(box.value);
    } catch (error) {
      throw new Error(`${words(name)} is not JSON: ${error.message}`, { cause: error });
    }
  };
  return [box, read];
}
