// The desk: lists who waits for a person, shows a conversation with its evidence, and says approved replies in it.

import * as api from "./api.js";
import { $, h, percent, words } from "./dom.js";

const desk = { handovers: [], next: "", chosen: "", name: "", key: "", asked: 0 };

const at = (name, what = "") => `v1/handovers/${encodeURIComponent(name)}${what}`;
const chosen = () => desk.handovers.find((handover) => handover.id === desk.chosen);
const isMine = (handover) => handover.state === "claimed" && handover.claimed_by === desk.name;

function tell(text) {
  $("desk-told").textContent = text;
}

// Runs what asks the server; what goes wrong is told, and asked for again after a new token.
async function trying(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof api.ServerError)) throw error;
    if (error.status === 401) signIn();
    tell([error.message, error.hint].filter(Boolean).join(" "));
    return undefined;
  }
}

// -- the queue -----------------------------------------------------------------------------------

async function loadQueue(after = "") {
  const state = $("queue-state").value;
  const asked = new URLSearchParams({ most: "50", ...(state && { state }), ...(after && { after }) });
  const page = await api.ask("GET", `v1/handovers?${asked}`);
  desk.handovers = after ? [...desk.handovers, ...page.handovers] : page.handovers;
  desk.next = page.next;
  drawQueue();
}

function drawQueue() {
  const focused = document.activeElement?.dataset?.handover;
  $("queue").replaceChildren(...desk.handovers.map((handover) => h("li", {}, h("button", {
    type: "button", "data-handover": handover.id, "aria-current": handover.id === desk.chosen && "true", onclick: () => choose(handover.id),
  }, h("b", {}, words(handover.reason)), h("span", { class: "note" }, `${handover.pack}, ${handover.conversation}`), h("span", { class: "note" }, stateOf(handover))))));
  $("queue-empty").hidden = desk.handovers.length > 0;
  $("queue-more").hidden = !desk.next;
  if (focused) document.querySelector(`[data-handover="${CSS.escape(focused)}"]`)?.focus();
}

function stateOf(handover) {
  const since = new Date(handover.at).toLocaleTimeString();
  if (handover.state === "closed") return `closed: ${handover.outcome}`;
  return handover.state === "claimed" ? `claimed by ${isMine(handover) ? "you" : handover.claimed_by}` : `waits since ${since}`;
}

function keep(handover) {
  desk.handovers = desk.handovers.map((one) => (one.id === handover.id ? handover : one));
  drawQueue();
  drawActs(handover);
}

// -- one conversation ----------------------------------------------------------------------------

async function choose(name) {
  if (desk.chosen !== name) {
    $("possible").replaceChildren();
    $("search-words").value = "";
  }
  desk.chosen = name;
  drawQueue();
  await trying(loadConversation);
  $("conversation").focus();
}

async function loadConversation() {
  const [name, asked] = [desk.chosen, ++desk.asked];
  if (!name) return;
  const found = await api.ask("GET", at(name));
  if (asked !== desk.asked) return; // another one was asked for meanwhile
  $("conversation-title").textContent = `${words(found.handover.reason)}: ${found.handover.conversation}`;
  const open = new Set([...document.querySelectorAll("#transcript details[open]")].map((one) => one.closest("li").dataset.place));
  $("transcript").replaceChildren(...found.entries.map((entry) => said(entry, open)));
  keep(found.handover);
}

function said(entry, open) {
  const who = entry.by || (entry.mode === "rules" ? "the rules" : "the engine");
  const share = entry.probability === null ? "" : `, ${percent(entry.probability)}`;
  return h("li", { class: `spoken ${entry.by ? "person" : ""}`, "data-place": `${entry.number}.${entry.place}` },
    entry.message && h("p", { class: "message" }, h("b", {}, "Customer: "), entry.message),
    h("p", { class: "text" }, entry.text),
    h("p", { class: "facts" }, `${who} said `, h("code", { class: "id" }, entry.response_id), share, entry.line && [", by ", h("code", { class: "line" }, entry.line)]),
    h("details", { open: open.has(`${entry.number}.${entry.place}`) }, h("summary", {}, "Evidence"), evidence(entry)));
}

function evidence(entry) {
  const rows = [["why", entry.why], ["approved", entry.approval], ["effects", entry.effects.join(", ") && `${entry.effects.join(", ")} (${words(entry.effects_outcome)})`],
    ["record", `${entry.sequence} ${entry.record_hash}`], ...entry.heard.map((one) => [one.question, `${one.value} (${percent(one.probability)})`]),
    ...entry.blocked.map((one) => [`${one.id} was blocked`, one.reason])];
  return h("dl", { class: "facts" }, rows.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
}

function drawActs(handover) {
  const mine = isMine(handover), isOver = handover.state === "closed";
  $("acts").hidden = isOver;
  $("claim").textContent = mine ? "Keep it longer" : "Claim";
  $("claim").disabled = handover.state === "claimed" && Boolean(desk.name) && !mine;
  $("release").disabled = handover.state !== "claimed";
  for (const name of ["close", "takeover-channel", "takeover-send"]) $(name).disabled = !mine;
  $("search").hidden = !mine;
  if (!mine) $("possible").replaceChildren();
}

// -- what a person does --------------------------------------------------------------------------

async function act(what, body, done) {
  await trying(async () => {
    keep(await api.ask("POST", at(desk.chosen, `/${what}`), body));
    tell(done);
  });
}

async function claim() {
  await trying(async () => {
    const handover = await api.ask("POST", at(desk.chosen, "/claim"));
    desk.name = handover.claimed_by;
    keep(handover);
    tell("It is yours. The engine does not act while you have it.");
    $("search-words").focus();
  });
}

async function find() {
  await trying(async () => {
    const found = await api.ask("GET", at(desk.chosen, `/replies?q=${encodeURIComponent($("search-words").value)}`));
    desk.key = api.newKey();
    $("possible").replaceChildren(...found.replies.map((possible) => h("li", {}, h("p", { class: "text" }, possible.text),
      h("button", { type: "button", "data-response": possible.id, onclick: () => answer(possible) }, "Say this", h("span", { class: "unseen" }, `: ${possible.text}`)),
      h("p", { class: "facts" }, h("code", { class: "id" }, possible.id), possible.score !== null && ` ${percent(possible.score)} by the ${possible.by}`))));
    tell(found.replies.length ? `${found.replies.length} approved replies.` : "No approved reply fits these words.");
  });
}

async function answer(possible) {
  await trying(async () => {
    await api.ask("POST", at(desk.chosen, "/answer"), { response_id: possible.id, idempotency_key: `${desk.key}-${possible.id}`.slice(0, 128) });
    $("possible").replaceChildren();
    $("search-words").value = "";
    await loadConversation();
    tell(`Said: ${possible.text}`);
    $("search-words").focus();
  });
}

// -- signing in, and what happens meanwhile ------------------------------------------------------

function signIn() {
  if (!$("ask-desk-token").open) $("ask-desk-token").showModal();
}

function news(event) {
  if (event.kind === "handover" || event.kind === "draining") trying(() => loadQueue());
  if (event.kind === "handover" && event.detail === "waiting") tell(`A conversation waits for a person: ${event.pack}, ${event.conversation}`);
  const open = chosen();
  if (open && event.conversation === open.conversation) trying(loadConversation);
}

$("desk-token-form").addEventListener("submit", () => {
  api.keepToken($("desk-token").value);
  $("desk-token").value = "";
  tell("");
  start();
});
$("queue-state").addEventListener("change", () => trying(() => loadQueue()));
$("queue-more").addEventListener("click", () => trying(() => loadQueue(desk.next)));
$("claim").addEventListener("click", claim);
$("release").addEventListener("click", () => act("release", undefined, "It waits again."));
$("close").addEventListener("click", () => act("close", undefined, "It is closed."));
$("takeover").addEventListener("submit", (event) => {
  event.preventDefault();
  act("takeover", { channel: $("takeover-channel").value }, `Closed: you go on by ${$("takeover-channel").value}.`);
});
$("search").addEventListener("submit", (event) => {
  event.preventDefault();
  find();
});

async function start() {
  if (!api.hasToken()) return signIn();
  await trying(async () => {
    await loadQueue();
    api.listen(news, 1000, () => trying(async () => {
      await loadQueue();
      await loadConversation();
    }));
  });
}

api.takeTokenFromAddress();
start();
