// The page: what it holds, what may be done, and which keys do it. Everything shown comes from the server.

import * as api from "./api.js";
import { $, h } from "./dom.js";
import { drawTalk, pickedBy } from "./talk.js";
import { drawWhy } from "./why.js";

// A turn has takes: the first one, and those taken again. A take holds A's reply, perhaps B's, and the turns that followed it.
const page = {
  packs: [], engines: [], catalog: null, conversation: null, turns: [], selected: -1,
  stateNow: null, isStateEdited: false, isEditing: false, isComparing: false, pending: null, error: null,
  epoch: 0, // counts conversations begun on this page
};

const act = { send, select, edit, useState, retry, showTake };

// -- what may be done ----------------------------------------------------------------------------

async function send(message) {
  message = message.trim();
  if (!message || page.pending || !page.catalog) return;
  await taking(request(message));
}

async function retry() {
  if (page.error?.retry) await taking(page.error.retry);
}

async function taking(sent) {
  const { message } = sent;
  begin({ message });
  await guarded(sent, async () => {
    const reply = await api.takeTurn(sent);
    const one = await take(message, reply);
    return () => {
      page.turns.push({ takes: [one], take: 0 });
      follow(page.turns.length - 1);
      return reply.goes_on;
    };
  });
}

// What is sent is made once: sent again with its key after a failure, it is answered from what the server stored.
function request(message) {
  const body = { pack: page.catalog.pack, message, idempotency_key: api.newKey(), effects: "run", ...settings("a") };
  if (page.conversation) body.conversation = page.conversation;
  if (page.stateNow && (page.isStateEdited || !page.conversation)) body.state = page.stateNow;
  return body;
}

async function useState(state) {
  page.isEditing = false;
  if (page.selected < 0) {
    Object.assign(page, { stateNow: state, isStateEdited: true });
    return draw();
  }
  const index = page.selected, turn = page.turns[index], from = turn.takes[turn.take];
  begin({ message: from.message, isAgain: true });
  await guarded(null, async () => {
    const reply = await api.fork(from.reply.conversation, { turn: from.reply.number, state, effects: "run", ...settings("a") });
    const again = await take(from.message, reply);
    return () => {
      leave(index);
      turn.takes.push(again);
      turn.take = turn.takes.length - 1;
      follow(index);
      return reply.goes_on;
    };
  });
}

// Earlier takes stay: going back to one brings back the turns that followed it.
function showTake(index, number) {
  const turn = page.turns[index];
  if (page.pending || !turn.takes[number]) return;
  leave(index);
  turn.take = number;
  page.turns.push(...(turn.takes[number].rest ?? []));
  follow(page.turns.length - 1, index);
  draw();
}

function leave(index) {
  const turn = page.turns[index];
  turn.takes[turn.take].rest = page.turns.splice(index + 1);
}

// B takes the same turn again, from the same history and state; what it would have done is not done.
async function take(message, reply) {
  if (!page.isComparing) return { message, reply, other: null };
  try {
    const other = await api.fork(reply.conversation, { turn: reply.number, state: reply.state_before, effects: "hand_over", ...settings("b") });
    return { message, reply, other };
  } catch (error) {
    if (!(error instanceof api.ServerError)) throw error;
    page.error = { message: error.message, hint: error.hint, isOfB: true };
    return { message, reply, other: null };
  }
}

function follow(last, selected = last) {
  const turn = page.turns[last], { reply } = turn.takes[turn.take];
  Object.assign(page, { conversation: reply.conversation, stateNow: reply.state_after ?? reply.state_before, isStateEdited: false, selected });
  $("told").textContent = `${page.catalog.speaker}: ${reply.text} (${reply.response_id}, ${pickedBy(reply)})`; // for those who listen
  $("why").scrollTop = 0;
}

function begin(pending) {
  Object.assign(page, { pending, error: null, isEditing: false });
  draw();
}

// The server is asked in ``work``; what comes back is taken over only if the conversation is still the one that asked.
async function guarded(sent, work) {
  const { epoch } = page;
  let goesOn = false;
  try {
    const takeOver = await work();
    if (epoch === page.epoch) goesOn = takeOver?.();
  } catch (error) {
    if (!(error instanceof api.ServerError)) throw error;
    if (error.status === 401) askToken();
    if (epoch !== page.epoch) return;
    page.error = { message: error.message, hint: error.hint, retryAfter: error.retryAfter, retry: sent };
  } finally {
    if (epoch === page.epoch) page.pending = null;
    draw();
  }
  if (goesOn) await taking(request("")); // effects ran: what a procedure has to say to that comes without a message
}

function select(index, isWanted = false) {
  if (!page.turns[index]) return;
  Object.assign(page, { selected: index, isEditing: false });
  draw();
  if (isWanted) view("why");
}

function edit() {
  page.isEditing = !page.isEditing;
  draw();
  document.querySelector(page.isEditing ? "#state .edit input, #state .edit select, #state .edit textarea" : "#edit-state")?.focus();
}

function restart() {
  $("news").hidden = true;
  Object.assign(page, { epoch: page.epoch + 1, pending: null, conversation: null, turns: [], selected: -1, isEditing: false, error: null, isStateEdited: false, stateNow: page.catalog?.default_state ?? null });
  view("talk");
  draw();
}

// -- settings ------------------------------------------------------------------------------------

function settings(which) {
  const end = which === "b" ? "-b" : "", found = { engine: $(`engine${end}`).value };
  if ($(`threshold${end}`).value !== "") found.threshold = Number($(`threshold${end}`).value);
  if ($(`within${end}`).value !== "") found.within = Number($(`within${end}`).value) / 1000;
  return found;
}

async function open(pack) {
  await guarded(null, async () => {
    const catalog = await api.catalog(pack);
    return () => {
      page.catalog = catalog;
      document.title = `${catalog.speaker} · Constrained`;
      restart();
      if (catalog.warning) tell(`What is on the disk is not what answers: ${catalog.warning}`);
    };
  });
}

function compare() {
  page.isComparing = !page.isComparing;
  $("compare").setAttribute("aria-pressed", String(page.isComparing));
  $("second").hidden = $("more-b").hidden = !page.isComparing;
  const other = page.engines.find((one) => one !== $("engine").value) ?? page.engines[0];
  if (page.isComparing && other && $("engine-b").value === $("engine").value) $("engine-b").value = other;
  document.body.classList.toggle("comparing", page.isComparing);
}

function view(name) {
  $("main").dataset.view = name;
  $("tab-talk").setAttribute("aria-pressed", String(name === "talk"));
  $("tab-why").setAttribute("aria-pressed", String(name === "why"));
}

function colours(name) {
  if (name) document.documentElement.dataset.theme = name;
  else delete document.documentElement.dataset.theme;
  localStorage.setItem("constrained-theme", name);
}

function draw() {
  const held = document.activeElement?.dataset.key;
  if (page.catalog) {
    drawTalk(page, act);
    drawWhy(page, act);
    if (held) document.querySelector(`[data-key="${held}"]`)?.focus({ preventScroll: true }); // what is drawn anew keeps the focus
  } else if (page.error) $("log").replaceChildren(h("p", { class: "failed", role: "alert" }, `${page.error.message} ${page.error.hint ?? ""}`));
  $("send").disabled = Boolean(page.pending);
}

// -- what the server tells by itself -----------------------------------------------------------------

// An edited pack is taken over between turns; the conversation goes on with it.
async function news(event) {
  const isMine = event.pack === page.catalog?.pack;
  if (event.kind === "draining") tell("The server stops. What was said is kept.");
  if (event.kind === "reload_refused" && isMine) tell(`The pack was edited, and its version before stays: ${event.detail}`);
  if (event.kind !== "reload" || !isMine) return;
  await guarded(null, async () => {
    const catalog = await api.catalog(event.pack);
    return () => {
      page.catalog = catalog;
      tell("The pack was edited. From the next turn on its new version answers.");
    };
  });
}

function tell(text) {
  Object.assign($("news"), { textContent: text, hidden: false });
}

// -- the token -----------------------------------------------------------------------------------

function askToken() {
  if (!$("ask-token").open) $("ask-token").showModal();
}

$("token-form").addEventListener("submit", () => {
  api.keepToken($("token").value);
  $("token").value = "";
  api.listen(news);
  if (page.catalog) retry();
  else start();
});

// -- hands and keys ------------------------------------------------------------------------------

$("compose").addEventListener("submit", (event) => {
  event.preventDefault();
  const box = $("message");
  if (page.pending) return;
  send(box.value);
  box.value = "";
  grow();
});
$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("compose").requestSubmit();
  }
});
$("message").addEventListener("input", grow);
$("pack").addEventListener("change", () => open($("pack").value));
$("compare").addEventListener("click", compare);
$("restart").addEventListener("click", restart);
$("help-open").addEventListener("click", () => $("help").showModal());
$("tab-talk").addEventListener("click", () => view("talk"));
$("tab-why").addEventListener("click", () => view("why"));
$("theme").addEventListener("change", () => colours($("theme").value));
$("setting").addEventListener("submit", (event) => event.preventDefault());
document.addEventListener("click", (event) => {
  if ($("more").open && !$("more").contains(event.target)) $("more").open = false;
});

function grow() {
  const box = $("message");
  box.style.height = "auto";
  box.style.height = `${Math.min(box.scrollHeight + 2, 160)}px`;
}

const keys = {
  "/": () => { view("talk"); $("message").focus(); },
  j: () => select(Math.min(page.selected + 1, page.turns.length - 1)),
  k: () => select(Math.max(page.selected - 1, 0)),
  w: () => { const isWhy = $("why").contains(document.activeElement); view(isWhy ? "talk" : "why"); (isWhy ? $("message") : $("why")).focus(); },
  e: () => { view("why"); edit(); $("state")?.scrollIntoView({ block: "start" }); },
  c: compare,
  n: restart,
  "?": () => $("help").showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    if ($("more").open) $("more").open = false;
    else if (page.isEditing) edit();
    else document.activeElement?.blur();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

// -- the beginning -------------------------------------------------------------------------------

async function start() {
  await guarded(null, async () => {
    const served = await api.catalogs();
    Object.assign(page, { packs: served.packs, engines: served.engines });
    $("pack").replaceChildren(...served.packs.map((one) => h("option", { value: one.pack, title: one.pack }, one.speaker)));
    for (const id of ["engine", "engine-b"]) $(id).replaceChildren(...served.engines.map((one) => h("option", { value: one }, one === "rules" ? "the rules alone (no model)" : one)));
    $("compare").disabled = served.engines.length < 1;
  });
  if (page.packs.length) await open(page.packs[0].pack);
}

api.takeTokenFromAddress();
$("theme").value = localStorage.getItem("constrained-theme") ?? "";
if ($("theme").value) colours($("theme").value);
api.listen(news);
start();
