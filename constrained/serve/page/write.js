// The writer's page: talks with a pack, shows what was close, and makes a message an example of the response that it means.

import * as api from "./api.js";
import { $, bar, h, percent, words } from "./dom.js";

const page = { catalog: null, conversation: "", message: "", said: new Map(), trial: null, asked: 0, isBusy: false };
const MOST_CLOSE = 6;

function tell(text) {
  $("write-told").textContent = text;
}

async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof api.ServerError)) throw error;
    if (error.status === 401 && !$("ask-write-token").open) $("ask-write-token").showModal();
    tell([error.message, error.hint].filter(Boolean).join(" "));
    return undefined;
  }
}

const pack = () => $("pack").value;
const locale = () => $("locale").value || page.catalog.locale;

// -- talk ----------------------------------------------------------------------------------------

function restart() {
  Object.assign(page, { conversation: api.newKey(), message: "", said: new Map() });
  $("log").replaceChildren();
  drawCatalog();
}

async function send(message) {
  if (page.isBusy || !page.catalog) return;
  page.isBusy = true;
  await trying(async () => {
    let reply = await turn(message);
    page.message = message;
    draw(message, reply);
    while (reply.goes_on) {
      reply = await turn("");
      draw("", reply);
    }
    drawCatalog();
  });
  page.isBusy = false;
}

function turn(message) {
  return api.takeTurn({ pack: pack(), conversation: page.conversation, idempotency_key: api.newKey(), message, locale: locale() });
}

function draw(message, reply) {
  for (const id of reply.said) page.said.set(id, (page.said.get(id) ?? 0) + 1);
  $("log").append(h("li", { class: "turn" },
    message && h("div", { class: "said you" }, message),
    h("div", { class: "said reply" }, h("div", { class: "text" }, reply.text),
      reply.effects.length > 0 && h("div", { class: "effects" }, reply.effects.map((one) => one.call).join(", "))),
    message && close(message, reply)));
  $("log").lastElementChild.scrollIntoView({ block: "nearest" });
}

// What was close: the options of a turn by their chances, each with the offer to make the message an example of it.
function close(message, reply) {
  const ranked = [...reply.decision.options].sort((one, other) => (other.probability ?? 0) - (one.probability ?? 0)).slice(0, MOST_CLOSE);
  return h("div", { class: "close" }, h("h3", {}, "What was close"), h("ol", {}, ranked.map((option) => h("li", { class: option.id === reply.response_id && "picked" },
    h("code", { class: "id" }, option.id), bar(option.probability ?? 0), h("span", {}, option.probability === null ? "" : percent(option.probability)),
    option.id !== reply.response_id && exampleButton(option.id, message, "This was meant")))));
}

function exampleButton(id, message, label) {
  return h("button", { type: "button", "data-example": id, disabled: !message, onclick: () => tryExample(id, message) }, label, h("span", { class: "unseen" }, `: ${words(id)}`));
}

// -- the catalog ---------------------------------------------------------------------------------

async function loadCatalog() {
  page.catalog = await api.catalog(pack());
  const locales = page.catalog.locales;
  const before = $("locale").value;
  $("locale").replaceChildren(...locales.map((one) => h("option", {}, one)));
  $("locale").value = locales.includes(before) ? before : page.catalog.locale;
  $("locale-label").hidden = locales.length < 2;
  drawCatalog();
}

const examplesOf = (response) => response.examples[locale()] ?? [];

function fits(response, wanted) {
  const all = [response.id, response.texts[locale()], response.when, ...response.tags, ...examplesOf(response)].join(" ").toLowerCase();
  return wanted.every((word) => all.includes(word));
}

function drawCatalog() {
  if (!page.catalog) return;
  const wanted = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
  const open = new Set([...document.querySelectorAll("#groups details[open]")].map((one) => one.dataset.of));
  const groups = new Map();
  for (const response of page.catalog.responses.filter((one) => fits(one, wanted))) {
    const name = response.is_fallback ? "when nothing fits" : response.tags[0] ?? "without a tag";
    groups.set(name, [...(groups.get(name) ?? []), response]);
  }
  $("groups").replaceChildren(...[...groups].map(([name, responses]) => h("section", {}, h("h3", {}, `${words(name)} (${responses.length})`),
    h("ul", {}, responses.map((response) => entry(response, open.has(response.id)))))));
  const n = [...groups.values()].flat().length;
  $("found").textContent = n === page.catalog.responses.length ? `${n} responses` : `${n} of ${page.catalog.responses.length} responses`;
}

function entry(response, isOpen) {
  const examples = examplesOf(response), n = page.said.get(response.id) ?? 0;
  return h("li", { class: "response", "data-response": response.id },
    h("div", { class: "facts" }, h("code", { class: "id" }, response.id), h("span", {}, response.line), h("span", {}, n ? `said here ${n} time${n > 1 ? "s" : ""}` : "not said here yet")),
    h("p", { class: "text" }, response.texts[locale()] ?? response.texts[page.catalog.locale]),
    response.when && h("p", { class: "note" }, response.when),
    examples.length > 0 && h("details", { "data-of": response.id, open: isOpen }, h("summary", {}, `${examples.length} example${examples.length > 1 ? "s" : ""}`),
      h("ul", {}, examples.map((one) => h("li", {}, one)))),
    exampleButton(response.id, page.message, "The last message means this"));
}

// -- a new example -------------------------------------------------------------------------------

const at = (what = "") => `v1/catalogs/${encodeURIComponent(pack())}/examples${what}`;

async function tryExample(id, message) {
  const asked = ++page.asked;
  page.trial = null;
  $("trial-what").textContent = `“${message}” as an example of ${words(id)}.`;
  $("trial-sum").textContent = "The golden dialogues and all other examples are decided with it and without it. This takes a moment.";
  $("changes").replaceChildren();
  $("confirm").disabled = true;
  $("trial").showModal();
  const found = await trying(() => api.ask("POST", at("/trial"), { response_id: id, message, locale: locale() }));
  if (asked !== page.asked) return; // taken back, or another one was asked for meanwhile
  if (!found) return $("trial").close();
  drawTrial({ ...found, locale: locale() });
}

function drawTrial(trial) {
  page.trial = trial;
  const count = (verdict) => trial.changes.filter((one) => one.verdict === verdict).length;
  $("trial-sum").textContent = trial.is_there ? "It is an example of this response already." : !trial.changes.length
    ? `It changes nothing else: ${trial.n_asked} messages were decided.`
    : `Of ${trial.n_asked} messages, ${trial.changes.length} would be answered otherwise: ${count("better")} better, ${count("worse")} worse, ${count("other")} wrong both ways.`;
  $("changes").replaceChildren(...trial.changes.map((one) => h("li", { class: one.verdict },
    h("b", {}, one.verdict === "other" ? "wrong both ways" : one.verdict), `: “${one.message}” (${one.place}) `,
    h("code", {}, one.before), " → ", h("code", {}, one.after), one.after !== one.wanted && one.wanted && [", meant is ", h("code", {}, one.wanted)])));
  $("confirm").disabled = trial.is_there;
}

async function confirmTrial() {
  const { response_id, message, file_hash, locale: language } = page.trial;
  $("confirm").disabled = true;
  const done = await trying(() => api.ask("POST", at(), { response_id, message, file_hash, locale: language }));
  $("trial").close();
  if (!done) return;
  tell(done.is_served ? `Written: an example of ${words(response_id)}. It counts from the next message on.` : `Written, but not taken over: ${done.problem}`);
  await trying(loadCatalog);
}

// -- signing in, and what happens meanwhile ------------------------------------------------------

function news(event) {
  if (event.pack !== pack()) return;
  if (event.kind === "reload") trying(loadCatalog);
  if (event.kind === "reload_refused") tell(`An edit of ${event.pack} is not taken over: ${event.detail}`);
}

$("write-token-form").addEventListener("submit", () => {
  api.keepToken($("write-token").value);
  $("write-token").value = "";
  tell("");
  start();
});
$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const message = $("message").value.trim();
  if (!message) return;
  $("message").value = "";
  send(message);
});
$("pack").addEventListener("change", () => trying(async () => {
  await loadCatalog();
  restart();
}));
$("locale").addEventListener("change", restart);
$("restart").addEventListener("click", restart);
$("find").addEventListener("input", drawCatalog);
$("confirm").addEventListener("click", confirmTrial);
$("take-back").addEventListener("click", () => {
  page.asked += 1; // here and not on the event "close", which comes later: another trial may have begun by then
  $("trial").close();
});
$("trial").addEventListener("cancel", () => { page.asked += 1; });

async function start() {
  if (!api.hasToken()) return $("ask-write-token").showModal();
  return trying(async () => {
    const served = await api.catalogs();
    $("pack").replaceChildren(...served.packs.map((one) => h("option", { value: one.pack }, one.pack)));
    await loadCatalog();
    restart();
    api.listen(news);
  });
}

api.takeTokenFromAddress();
start();
