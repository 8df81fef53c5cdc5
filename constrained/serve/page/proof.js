// What can be kept of a turn: its record and how long each stage took.

import { h } from "./dom.js";

export function drawRecord({ reply }) {
  const text = JSON.stringify(reply.record, null, 2);
  const told = h("span", { class: "note", role: "status" });
  return h("section", { class: "card" }, h("details", { "data-name": "record" },
    h("summary", {}, h("h3", {}, "The record"), h("span", { class: "note" }, reply.record.hash ? "hashed, chained, enough to replay the turn without a model" : "enough to replay the turn without a model")),
    h("p", { class: "actions" }, h("button", { type: "button", onclick: () => copy(text, told) }, "Copy"), h("button", { type: "button", onclick: () => save(text, reply.turn_id) }, "Save as a file"), told),
    h("pre", { class: "code", tabindex: 0 }, text)));
}

async function copy(text, told) {
  try {
    await navigator.clipboard.writeText(text);
    told.textContent = "Copied.";
  } catch {
    told.textContent = "The browser did not let it be copied; save it instead.";
  }
}

function save(text, name) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  h("a", { href: address, download: `turn-${name}.json` }).click();
  URL.revokeObjectURL(address);
}

export function drawTimes(take) {
  const rows = [["a", take.reply], ["b", take.other]].filter(([, reply]) => reply && Object.keys(reply.timings_ms).length);
  if (!rows.length) return null;
  return h("section", { class: "card" }, h("h3", {}, "Time"), rows.map(([kind, reply]) => times(kind, reply, Math.max(...rows.map(([, one]) => together(one))), rows.length > 1)));
}

const stages = (reply) => Object.entries(reply.timings_ms).filter(([name]) => name !== "total");
const together = (reply) => stages(reply).reduce((sum, [, took]) => sum + took, 0);

function times(kind, reply, longest, isPair) {
  const found = stages(reply), total = together(reply);
  return h("div", { class: "times" },
    isPair && h("span", { class: `letter ${kind}` }, kind.toUpperCase()),
    h("div", { class: "stacked", "aria-hidden": "true" }, found.map(([name, took]) => h("span", { class: `stage ${name}`, "--share": longest ? took / longest : 0 }))),
    h("ul", { class: "legend" }, found.map(([name, took]) => h("li", {}, h("span", { class: `stage ${name}` }), `${name} ${milliseconds(took)}`)), h("li", {}, h("b", {}, `together ${milliseconds(total)}`))));
}

const milliseconds = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
