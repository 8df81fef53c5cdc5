// The whole catalog as squares: what people wrote, what of it is a draft, what the rules allow now, what was picked.

import { h, percent } from "./dom.js";

export function drawMap(page, take) {
  const readout = h("p", { class: "readout", "aria-live": "polite" }, resting(take));
  const cells = page.catalog.responses.map((response, index) => cell(page, take, response, index, readout));
  const grid = h("div", { class: "map", role: "group", "aria-label": "All responses; arrow keys move", onkeydown: move }, cells);
  grid.addEventListener("mouseleave", () => readout.replaceChildren(resting(take)));
  return h("div", {}, grid, readout, legend(page, take));
}

function resting(take) {
  return take ? "Each square is one response. Point at one to read it." : "Each square is one response. Nothing outside these squares can be said.";
}

function cell(page, take, response, index, readout) {
  const found = take ? standing(take, response.id) : { kind: "resting", told: "" };
  const locale = page.catalog.locale in response.texts ? page.catalog.locale : Object.keys(response.texts)[0];
  const texts = [response.texts[locale], ...(response.variants[locale] ?? [])].flatMap((text) => [h("q", {}, text), " "]);
  const tell = () => readout.replaceChildren(...[h("code", {}, response.id), " ", ...texts, isDraft(page, response) && h("span", { class: "draft" }, "draft"), found.told && h("span", { class: "standing" }, ` ${found.told}`)].filter(Boolean));
  return h("button", {
    type: "button", class: `cell ${found.kind}`, "--share": found.share ?? 0, tabindex: index === 0 ? 0 : -1,
    "aria-label": `${response.id}${isDraft(page, response) ? ", a draft" : ""}${found.told ? `: ${found.told}` : ""}`, onmouseenter: tell, onfocus: tell, onclick: tell,
  });
}

export const isDraft = (page, response) => !response.approved[page.catalog.locale];

// What became of one response in a turn.
export function standing(take, id) {
  const { reply, other } = take;
  const option = reply.decision.options.find((one) => one.id === id);
  const second = other?.decision.options.find((one) => one.id === id);
  const share = Math.max(option?.probability ?? 0, second?.probability ?? 0);
  const asTold = [option?.probability, second?.probability].filter((one) => one != null).map(percent).join(" and ");
  const isPicked = reply.decision.chosen === id, isPickedByB = other?.decision.chosen === id;
  const who = other ? (isPicked && isPickedByB ? " by A and B" : isPicked ? " by A" : " by B") : "";
  if (isPicked || isPickedByB) return { kind: `chosen${isPicked ? "" : " by-b"}`, share, told: `allowed, picked${who}${asTold && `, ${asTold}`}` };
  if (reply.obligations.some((one) => one.id === id)) return { kind: "must", told: "had to be said this turn" };
  if (option || second) return { kind: "allowed", share, told: `allowed, not picked${asTold && `, ${asTold}`}` };
  const blocked = reply.blocked.find((one) => one.id === id);
  if (blocked) return { kind: "blocked", told: `blocked: ${blocked.reason}` };
  return { kind: "off", told: "not allowed now: no line of logic offered it" };
}

function legend(page, take) {
  const entry = (kind, text) => h("li", {}, h("span", { class: `cell ${kind}`, "--share": 0.5 }), text);
  if (!take) return h("ul", { class: "legend" }, entry("resting", page.catalog.n_approved === page.catalog.n_responses ? "approved by people" : "written by people"));
  return h("ul", { class: "legend" }, entry("off", "not allowed now"), take.reply.blocked.length > 0 && entry("blocked", "offered, but blocked"),
    entry("allowed", "allowed"), take.reply.obligations.length > 0 && entry("must", "had to be said"), entry("chosen", "picked"));
}

// One stop for the tab key, arrows within: a catalog may have hundreds of squares.
function move(event) {
  const cells = [...event.currentTarget.querySelectorAll(".cell")];
  const at = cells.indexOf(document.activeElement);
  const perRow = cells.filter((one) => one.offsetTop === cells[0].offsetTop).length;
  const by = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: perRow, ArrowUp: -perRow, Home: -at, End: cells.length - 1 - at }[event.key];
  const next = by === undefined || at < 0 ? undefined : cells[at + by];
  if (!next) return;
  event.preventDefault();
  cells[at].tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
