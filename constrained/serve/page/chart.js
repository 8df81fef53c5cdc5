// Confidence over the conversation: the probability of the best option, turn by turn, as a picture and as words.

import { h, percent, s } from "./dom.js";

const WIDTH = 640, HEIGHT = 150, LEFT = 44, RIGHT = 12, TOP = 12, BOTTOM = 26;

export function drawConfidence(page, act) {
  if (!page.turns.length) return null;
  const takes = page.turns.map((turn) => turn.takes[turn.take]);
  const x = (index) => (takes.length === 1 ? (LEFT + WIDTH - RIGHT) / 2 : LEFT + ((WIDTH - LEFT - RIGHT) * index) / (takes.length - 1));
  const y = (share) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - share);
  const lines = [["b", takes.map((take) => best(take.other))], ["a", takes.map((take) => best(take.reply))]];
  const picture = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "chart", role: "group", "aria-label": summary(takes) },
    [0, 0.5, 1].map((share) => grid(y, share)),
    threshold(takes, x, y),
    lines.map(([kind, shares]) => [path(kind, shares, x, y), takes.map((take, index) => point(kind, take, shares[index], index, { page, act, x, y }))]),
    takes.map((_, index) => index % Math.ceil(takes.length / 16) === 0 && s("text", { x: x(index), y: HEIGHT - 8, class: "tick middle" }, String(index + 1))));
  return h("section", { class: "card" }, h("h3", {}, "Confidence over the conversation"),
    h("p", { class: "note" }, "The probability of the best option in each turn; a ring on the ground is a turn in which no model was asked. Dashed: the threshold."), picture);
}

function best(reply) {
  const found = reply?.decision.options.map((one) => one.probability).filter((one) => one !== null) ?? [];
  return found.length ? Math.max(...found) : null;
}

function grid(y, share) {
  return [s("line", { x1: LEFT, x2: WIDTH - RIGHT, y1: y(share), y2: y(share), class: "grid" }), s("text", { x: LEFT - 8, y: y(share) + 4, class: "tick end" }, percent(share))];
}

function threshold(takes, x, y) {
  const points = takes.map((take, index) => `${x(index)},${y(take.reply.decision.threshold)}`);
  if (points.length === 1) points.splice(0, 1, `${LEFT},${y(takes[0].reply.decision.threshold)}`, `${WIDTH - RIGHT},${y(takes[0].reply.decision.threshold)}`);
  return s("polyline", { points: points.join(" "), class: "limit" });
}

// A turn without a model leaves a gap: nothing is drawn where nothing was measured.
function path(kind, shares, x, y) {
  const parts = shares.map((share, index) => (share === null ? "" : `${index > 0 && shares[index - 1] !== null ? "L" : "M"}${x(index)} ${y(share)}`));
  return s("path", { d: parts.join(""), class: `curve ${kind}` });
}

function point(kind, take, share, index, { page, act, x, y }) {
  const reply = kind === "a" ? take.reply : take.other;
  if (!reply) return null;
  const told = `Turn ${index + 1}${take.other ? `, ${kind.toUpperCase()}` : ""}: ${reply.response_id}, ${share === null ? "no model was asked" : percent(share)}${reply.decision.abstained ? ", the fallback was said" : ""}`;
  const go = () => act.select(index);
  const spot = s("g", { class: `spot ${kind}${share === null ? " unasked" : ""}${reply.decision.abstained ? " abstained" : ""}${page.selected === index ? " selected" : ""}`,
    role: "button", tabindex: 0, "data-key": `spot-${kind}-${index}`, "aria-label": told, onclick: go, onkeydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); go(); } } },
    s("title", {}, told), s("circle", { cx: x(index), cy: y(share ?? 0), r: 13, class: "target" }), s("circle", { cx: x(index), cy: y(share ?? 0), r: page.selected === index ? 6.5 : 4.5, class: "dot" }));
  return spot;
}

function summary(takes) {
  const shares = takes.map((take) => best(take.reply)).filter((one) => one !== null);
  return shares.length ? `${takes.length} turns; best option between ${percent(Math.min(...shares))} and ${percent(Math.max(...shares))}` : `${takes.length} turns, no model was asked`;
}
