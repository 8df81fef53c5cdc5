// The reasons of one turn: heard, allowed, picked, and the rest. Reads what the server told; decides nothing.

import { drawConfidence } from "./chart.js";
import { $, bar, brief, h, percent, words } from "./dom.js";
import { drawMap } from "./map.js";
import { drawRecord, drawTimes } from "./proof.js";
import { drawState } from "./state.js";
import { pickedBy } from "./talk.js";

export function drawWhy(page, act) {
  const turn = page.turns[page.selected];
  const take = turn?.takes[turn.take];
  const open = new Set([...$("why").querySelectorAll("details[open][data-name]")].map((one) => one.dataset.name));
  const sections = take
    ? [funnel(page, take), procedure(page, take), heard(take), options(page, take), kept(page, take), drawState(page, take, act), drawConfidence(page, act), logic(page, take), drawTimes(take), drawRecord(take)]
    : [funnel(page, null), drawState(page, null, act), logic(page, null)];
  $("why").replaceChildren(...sections.filter(Boolean));
  for (const one of $("why").querySelectorAll("details[data-name]")) one.open = open.has(one.dataset.name);
  $("why").setAttribute("aria-label", take ? `Why reply ${page.selected + 1}` : "How a reply comes about");
}

export function section(title, note, ...children) {
  return h("section", { class: "card" }, h("h3", {}, title), note && h("p", { class: "note" }, note), ...children);
}

// -- the three numbers ---------------------------------------------------------------------------

function funnel(page, take) {
  const { n_responses: n, n_approved: signed } = page.catalog, allowed = take?.reply.decision.options.length, second = take?.other?.decision.options.length;
  const now = take ? (second !== undefined && second !== allowed ? `${allowed} / ${second}` : `${allowed}`) : "?";
  const how = !take ? "one of these, by its probability" : take.other ? pickedByBoth(take) : pickedBy(take.reply);
  return h("section", { class: "card funnel" },
    h("h3", {}, take ? `Turn ${page.selected + 1}: how this reply came about` : "How a reply comes about"),
    h("ol", { class: "steps" },
      step("words", `${n}`, "responses", signed === n ? "written and approved by people" : `written by people; ${signed || "none"} approved`),
      step("rules", now, take && allowed === 1 && !take.other ? "is allowed now" : "are allowed now", `by the Python rules in ${file(page)}`),
      step("pick", "1", "is picked", how)),
    drawMap(page, take));
}

const pickedByBoth = ({ reply, other }) => (reply.decision.chosen === other.decision.chosen ? `by A and by B: ${reply.response_id}` : `A: ${reply.response_id}; B: ${other.response_id}`);

function step(kind, number, what, note) {
  return h("li", { class: kind }, h("b", { class: "number" }, number), h("span", {}, h("b", {}, what), h("small", {}, note)));
}

const file = (page) => page.catalog.file.split("/").at(-1);

// -- heard ---------------------------------------------------------------------------------------

function heard(take) {
  const names = [...new Set([...take.reply.heard, ...(take.other?.heard ?? [])].map((one) => one.name))];
  if (!names.length) return section("What was heard", "Nothing: no model was asked about the message, or this logic asks no question. The rules read the state alone.");
  const isNothing = (one) => !one || one.value === false || one.value === null;
  const isQuiet = (name) => isNothing(named(take.reply, name)) && isNothing(take.other && named(take.other, name));
  const rows = [...names.filter((name) => !isQuiet(name)), ...names.filter(isQuiet)].map((name) => heardRow(name, take, isQuiet(name)));
  return section("What was heard", "Questions about the message, each answered by choosing. The rules read these answers, never the message.", h("ul", { class: "rows" }, rows));
}

const named = (reply, name) => reply.heard.find((one) => one.name === name);

// What was not heard stands below, on one line each: a desk may ask many questions.
function heardRow(name, take, isQuiet) {
  const one = named(take.reply, name), second = take.other && named(take.other, name), isPair = Boolean(take.other);
  const either = one ?? second;
  if (isQuiet && !isPair) return h("li", { class: "quiet", title: either.question }, h("b", {}, words(name)), answer(one, "a", false));
  return h("li", {},
    h("div", { class: "row-head" }, h("b", {}, words(name)), h("span", { class: "question" }, either.question), h("code", { class: "line" }, either.line)),
    answer(one, "a", isPair), isPair && answer(second, "b", true));
}

function answer(one, kind, isPair) {
  if (!one) return h("div", { class: "measure" }, isPair && h("span", { class: `letter ${kind}` }, kind.toUpperCase()), h("span", { class: "note" }, "not asked"));
  const rivals = one.candidates.filter(([text]) => text.toLowerCase() !== brief(one.value).toLowerCase()).filter(([, share]) => share >= 0.01).sort((first, next) => next[1] - first[1]).slice(0, 3);
  return h("div", { class: "measure" }, isPair && h("span", { class: `letter ${kind}` }, kind.toUpperCase()),
    h("span", { class: "value" }, brief(one.value)), bar(one.probability, kind), h("span", { class: "share" }, percent(one.probability)),
    rivals.length > 0 && h("span", { class: "rivals" }, "or ", rivals.map(([text, share]) => `${text} ${percent(share)}`).join(", ")));
}

// -- allowed and picked --------------------------------------------------------------------------

function options(page, take) {
  const { reply, other } = take;
  const ids = [...new Set([...reply.decision.options, ...(other?.decision.options ?? [])].map((one) => one.id))];
  const share = (id, of) => of?.decision.options.find((one) => one.id === id)?.probability ?? -1;
  const isFirst = (id) => (reply.decision.chosen === id ? 2 : other?.decision.chosen === id ? 1 : 0);
  ids.sort((one, two) => Math.max(share(two, reply), share(two, other)) - Math.max(share(one, reply), share(one, other)) || isFirst(two) - isFirst(one));
  return section("What was allowed, and what was picked", verdict(take),
    h("ol", { class: "rows options" }, ids.map((id) => optionRow(page, take, id))));
}

function verdict({ reply, other }) {
  const one = (of) => `${modes[of.decision.mode] ?? of.decision.mode}; ${of.decision.why}`;
  return other ? [h("span", { class: "letter a" }, "A"), ` ${one(reply)}. `, h("span", { class: "letter b" }, "B"), ` ${one(other)}.`] : `${one(reply)}.`;
}

const modes = {
  exact: "Every option was scored in full", refine: "All scored roughly, the best ones in full", bounded: "Scored until no other could be better",
  prefix: "Scored as far as they differ", code: "Picked by a letter", walk: "Picked token by token", rules: "No model was asked",
};

function optionRow(page, take, id) {
  const one = take.reply.decision.options.find((option) => option.id === id);
  const second = take.other?.decision.options.find((option) => option.id === id);
  const either = one ?? second;
  const isPicked = take.reply.decision.chosen === id, isPickedByB = take.other?.decision.chosen === id;
  return h("li", { class: `option${isPicked || isPickedByB ? " picked" : ""}` },
    h("div", { class: "row-head" }, h("code", { class: "id" }, id),
      isPicked && h("span", { class: "badge a" }, take.other ? "picked by A" : "picked"), isPickedByB && h("span", { class: "badge b" }, "picked by B"),
      either.effects.length > 0 && h("span", { class: "effect" }, "then ", h("code", {}, either.effects.join(", ")))),
    h("p", { class: "text" }, either.text),
    measure(take.reply, one, "a", Boolean(take.other)), take.other && measure(take.other, second, "b", true),
    id === page.catalog.fallback ? h("p", { class: "note" }, "The fallback: always allowed, said when nothing else is likely enough.") : codeLine(page, either.line));
}

function measure(reply, option, kind, isPair) {
  const letter = isPair && h("span", { class: `letter ${kind}` }, kind.toUpperCase());
  if (!option) return h("div", { class: "measure" }, letter, h("span", { class: "note" }, "not allowed: something else was heard"));
  if (option.probability === null) return isPair && h("div", { class: "measure" }, letter, h("span", { class: "note" }, "allowed; no model was asked"));
  const line = bar(option.probability, kind);
  if (reply.decision.threshold > 0) line.append(h("span", { class: "threshold", "--at": reply.decision.threshold, title: `threshold ${percent(reply.decision.threshold)}` }));
  return h("div", { class: "measure" }, letter, line, h("span", { class: "share" }, percent(option.probability)));
}

// -- the step of a procedure ---------------------------------------------------------------------

function procedure(page, take) {
  const one = take.reply.record.procedure;
  if (!one) return null;
  const row = (when, id, line, note) => h("li", {}, h("div", { class: "row-head" }, h("b", {}, when), id && h("code", { class: "id" }, id), note && h("span", { class: "note" }, note)), line && codeLine(page, line));
  const answer = one.answer && one.answer !== "over" ? `went on with: ${words(one.answer)}` : one.step && !one.answer ? "not answered yet: it stays there" : "";
  return section("Where the procedure stands", `${words(one.name)}, version ${one.version}. It waits at one step at a time, and only what is written there takes it on.`,
    h("ul", { class: "rows procedure" },
      one.step ? row("Stood at", one.step, one.line, answer) : row("Began", "", "", "with this turn"),
      one.next_step ? row("Now waits at", one.next_step, one.next_line) : row("Now", "", "", "it is over")));
}

// -- the line of logic ---------------------------------------------------------------------------

function codeLine(page, line) {
  const text = textOf(page, line);
  return h("p", { class: "code-line" }, h("code", { class: "line" }, line), text && h("code", { class: "source-text" }, text));
}

// The server tells the whole logic file, or the policy's function and where it begins.
function source(page) {
  const { source: whole, rules, line } = page.catalog;
  return whole ? { first: 1, lines: whole.split("\n") } : { first: line, lines: rules.replace(/\n$/, "").split("\n") };
}

const numberOf = (line) => Number(line.split(":").at(-1));

function textOf(page, line) {
  const { first, lines } = source(page);
  return lines[numberOf(line) - first]?.trim();
}

function logic(page, take) {
  const { first, lines } = source(page);
  const allowed = new Set(take?.reply.decision.options.map((one) => numberOf(one.line)));
  const chosen = take?.reply.decision.options.find((one) => one.id === take.reply.decision.chosen); // none where an offer is said in its place
  const picked = chosen && numberOf(chosen.line);
  const kind = (number) => (number === picked ? "line-picked" : allowed.has(number) ? "line-allowed" : "");
  const rows = lines.map((text, index) => h("span", { class: `code-row ${kind(first + index)}` }, h("span", { class: "number", "aria-hidden": "true" }, String(first + index)), `${text}\n`));
  return h("section", { class: "card" }, h("details", { "data-name": "logic" }, h("summary", {}, h("h3", {}, "The rules, as they are written"), h("span", { class: "note" }, file(page))),
    h("pre", { class: "code", tabindex: 0 }, rows)));
}

// -- blocked, obliged, not offered ---------------------------------------------------------------

function kept(page, take) {
  const { blocked, obligations, decision } = take.reply;
  const seen = new Set([...blocked, ...obligations, ...decision.options].map((one) => one.id));
  const others = page.catalog.responses.filter((one) => !seen.has(one.id));
  return section("What could not be said, and what had to be", null,
    obligations.length > 0 && h("ul", { class: "rows" }, obligations.map((one) => h("li", { class: "option obliged" },
      h("div", { class: "row-head" }, h("code", { class: "id" }, one.id), h("span", { class: "badge must" }, one.is_after ? "must follow the reply" : "must precede the reply")),
      h("p", { class: "text" }, one.text), codeLine(page, one.line)))),
    blocked.length > 0 && h("ul", { class: "rows" }, blocked.map((one) => h("li", { class: "option blocked" },
      h("div", { class: "row-head" }, h("code", { class: "id" }, one.id), h("span", { class: "badge no" }, "blocked")), h("p", { class: "reason" }, one.reason), codeLine(page, one.line)))),
    others.length > 0 && h("details", { "data-name": "others" }, h("summary", {}, `${others.length} more responses that no line of logic offered now`),
      h("ul", { class: "ids" }, others.map((one) => h("li", {}, h("code", {}, one.id), one.when && h("span", { class: "note" }, ` ${one.when}`))))));
}
