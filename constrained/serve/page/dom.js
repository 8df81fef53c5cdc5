// Builds elements out of names, properties and text. Text is only ever text: nothing here reads markup.

const SVG = "http://www.w3.org/2000/svg";

export function h(name, properties = {}, ...children) {
  const node = document.createElement(name);
  return fill(node, properties, children);
}

export function s(name, properties = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  return fill(node, properties, children);
}

function fill(node, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key.startsWith("--")) node.style.setProperty(key, value); // through the object model: style attributes are not allowed here
    else if (key === "value" || key === "checked") node[key] = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== undefined && child !== null && child !== false) node.append(child);
  }
  return node;
}

export const $ = (id) => document.getElementById(id);

// 0 % and 100 % only when that is exact to a tenth.
export function percent(share) {
  const exact = share * 100;
  const needsTenth = (exact >= 0.05 && exact < 0.95) || (exact > 99.05 && exact < 99.95);
  return `${exact.toFixed(needsTenth ? 1 : 0)}\u00a0%`;
}

export function bar(share, kind = "a") {
  return h("span", { class: `bar ${kind}`, "--share": share, "aria-hidden": "true" }, h("span", { class: "fill" }));
}

export function words(name) {
  return name.replaceAll("_", " ");
}

// A value of the state, short enough for a line.
export function brief(value) {
  if (value === null || value === undefined) return "none";
  if (value === true) return "yes";
  if (value === false) return "no";
  if (Array.isArray(value)) return value.length ? value.map(named).join(", ") : "none";
  return typeof value === "object" ? named(value) : String(value);
}

function named(value) {
  if (value === null || typeof value !== "object") return brief(value);
  return Object.entries(value).filter(([, one]) => one !== null).map(([key, one]) => `${key} ${brief(one)}`).join(" · ");
}

export function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}
