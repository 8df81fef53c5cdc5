// A client of `constrained serve`, for browsers and node 20 or newer: fetch, AbortController, and WebSocket for events. No dependencies.
// @ts-check

/**
 * @typedef {{ name: string, args: any[], kwargs: Record<string, any>, call: string }} Effect what the game does: `call` is how it is written
 * @typedef {{ id: string, text: string, slots: Record<string, any>, line: string, probability: number | null, effects: string[] }} Option
 * @typedef {{ options: Option[], chosen: string, mode: string, margin: number, abstained: boolean, threshold: number, why: string }} Decision
 * @typedef {{ id: string, message: string }} Button a message that the player can say by a press
 * @typedef {{ turn_id: string, conversation: string, number: number, response_id: string, text: string, said: string[], voices: string[],
 *   slots: Record<string, any>, effects: Effect[], effects_outcome: string, source: "model" | "rules" | "fallback", decision: Decision,
 *   goes_on: boolean, offered: string[], state_before: Record<string, any>, state_after: Record<string, any> | null, is_repeat: boolean
 * }} Reply a turn as it was released; a customer's token gets `text`, `offered`, `goes_on` and what names the turn, and no more
 * @typedef {{ response_id: string, text: string, source: string, effects: Effect[], decision: Decision, offered: string[],
 *   buttons: Button[] }} Preview
 * @typedef {{ format: number, library: string, npcs: Record<string, any>, last_speaker: string }} Saved
 * @typedef {{ kind: string, at: string, pack?: string, conversation?: string, turn_id?: string, number?: number, response_id?: string,
 *   source?: string, detail?: string }} ServerEvent
 * @typedef {{ state?: Record<string, any>, done?: string[], failed?: string[], within?: number, locale?: string, engine?: string,
 *   key?: string }} TurnValues `key`: the idempotency key, made where it is missing
 * @typedef {{ key: string, reply: Promise<Reply>, cancel: () => Promise<boolean> }} Pending
 * @typedef {{ effects?: "hand_over" | "run", attempts?: number, wait?: (ms: number) => Promise<void> }} Options
 */

const RETRIED = new Set([408, 429, 502, 503, 504]);
const MOST_WAIT_MS = 10_000;

/** What the server said in place of a reply: nothing was said. `status` is HTTP's, 0 where no answer came. */
export class Refused extends Error {
  /** @param {number} status @param {string} message @param {string} [hint] @param {string | null} [param] */
  constructor(status, message, hint = "", param = null) {
    super(hint ? `${message} (${hint})` : message);
    this.name = "Refused";
    this.status = status;
    this.hint = hint;
    this.param = param;
  }
}

/** One server. */
export class Constrained {
  /**
   * @param {string} url @param {string} token
   * @param {Options} [options] effects: `hand_over` (the game's own, told with `done` and `failed`) or `run` (the server's)
   */
  constructor(url, token, options = {}) {
    this.url = url.replace(/\/+$/, "");
    this.token = token;
    this.effects = options.effects ?? "hand_over";
    this.attempts = options.attempts ?? 4;
    this.wait = options.wait ?? ((ms) => new Promise((go) => setTimeout(go, ms)));
  }

  /** A character, in a conversation of its own unless one is named. @param {string} pack @param {string} [conversation] */
  npc(pack, conversation = newKey()) {
    return new Npc(this, pack, conversation);
  }

  /** What is served. @returns {Promise<{ packs: { pack: string, speaker: string }[], engines: string[] }>} */
  catalogs() {
    return this.request("GET", "/v1/catalogs");
  }

  /**
   * Calls `hear` with every event from now on, until the returned function is called or the server goes away (`ended`).
   * @param {(event: ServerEvent) => void} hear @param {{ conversation?: string, ended?: (code: number) => void }} [options]
   * @returns {() => void}
   */
  events(hear, options = {}) {
    const path = "/v1/events" + (options.conversation ? `?conversation=${encodeURIComponent(options.conversation)}` : "");
    const socket = new WebSocket(this.url.replace(/^http/, "ws") + path, ["constrained", `token.${this.token}`]);
    socket.onmessage = (told) => hear(JSON.parse(String(told.data)));
    socket.onclose = (told) => options.ended?.(told.code);
    return () => socket.close();
  }

  /**
   * The answer's body. Sent again while the server is away or full: with its key a turn is taken once, however often it is sent.
   * @param {string} method @param {string} path @param {object} [body] @param {{ attempts?: number, signal?: AbortSignal }} [options]
   * @returns {Promise<any>}
   */
  async request(method, path, body, options = {}) {
    const headers = { Authorization: `Bearer ${this.token}`, "Content-Type": "application/json" };
    for (let left = options.attempts ?? this.attempts; ; ) {
      left -= 1;
      const pause = 100 * 2 ** (this.attempts - left);
      let answer;
      try {
        answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body), signal: options.signal });
        if (answer.ok) return answer.status === 204 ? null : await answer.json();
      } catch (error) {
        if (options.signal?.aborted) throw error;
        if (!left) throw new Refused(0, `the server did not answer: ${error}`, "see that it runs; a turn may be sent again with its key");
        await this.wait(Math.min(MOST_WAIT_MS, pause));
        continue;
      }
      if (!left || !RETRIED.has(answer.status)) throw await refusal(answer);
      await this.wait(Math.min(MOST_WAIT_MS, 1000 * Number(answer.headers.get("retry-after")) || pause));
    }
  }
}

/** A character in one conversation. */
export class Npc {
  /** @param {Constrained} server @param {string} pack @param {string} conversation */
  constructor(server, pack, conversation) {
    this.server = server;
    this.pack = pack;
    this.conversation = conversation;
  }

  /** The reply to a message. @param {string} message @param {TurnValues} [values] @param {AbortSignal} [signal] stops waiting: see `start` */
  say(message, values = {}, signal) {
    const { key = newKey(), ...rest } = values;
    const body = { pack: this.pack, conversation: this.conversation, message, idempotency_key: key, ...rest };
    const asked = this.server.effects === "hand_over" ? { effects: "hand_over", ...body } : body;
    return /** @type {Promise<Reply>} */ (this.server.request("POST", "/v1/turns", asked, { signal }));
  }

  /** A turn that can be called off while it is taken. @param {string} message @param {TurnValues} [values] @returns {Pending} */
  start(message, values = {}) {
    const key = values.key ?? newKey();
    let isOver = false;
    const reply = this.say(message, { ...values, key }).finally(() => {
      isOver = true;
    });
    reply.catch(() => undefined); // whoever awaits it hears of it
    const cancel = async () => {
      while (!isOver) {
        try {
          await this.server.request("DELETE", `${this.#path()}/turns/${encodeURIComponent(key)}`);
          return true;
        } catch (error) {
          if (!(error instanceof Refused) || error.status !== 404) return false; // it is kept: its reply comes
          await this.server.wait(20); // it is on its way there, or its reply is on its way here
        }
      }
      return false;
    };
    return { key, reply, cancel };
  }

  /** What the player may say by a press now. @param {Record<string, any>} [state] */
  async buttons(state) {
    return (await this.preview("", state)).buttons;
  }

  /** @param {Button} button @param {TurnValues} [values] */
  press(button, values = {}) {
    return this.say(button.message, values);
  }

  /**
   * What became of the effects of a reply. Resolves to what the character has to say to it, null where that is nothing:
   * then it goes with the next message, as `done`, `failed` and `state`.
   * @param {Reply} reply @param {TurnValues} values
   */
  async finish(reply, values) {
    return reply.goes_on ? await this.say("", values) : null;
  }

  /** What would be said to a message; nothing is kept. @param {string} message @param {Record<string, any>} [state] @returns {Promise<Preview>} */
  preview(message, state) {
    return this.server.request("POST", `${this.#path()}/preview`, { pack: this.pack, message, ...(state && { state }) });
  }

  /** The conversation as one value, for the file of a saved game. @returns {Promise<Saved>} */
  save() {
    return this.server.request("GET", `${this.#path()}/save`);
  }

  /** Goes on where the saved conversation stood, in a new one. Gives what could not be kept as it was. @param {Saved} saved @returns {Promise<string[]>} */
  async load(saved) {
    const { conversation, pack, notes } = await this.server.request("PUT", `/v1/conversations/${newKey()}/save`, saved);
    this.pack = pack;
    this.conversation = conversation;
    return notes;
  }

  /** The last turns, after a restart of the game. @param {number} [turns] @returns {Promise<{ state: Record<string, any>, turns: Reply[] }>} */
  history(turns = 100) {
    return this.server.request("GET", `${this.#path()}?turns=${turns}`);
  }

  #path() {
    return `/v1/conversations/${encodeURIComponent(this.conversation)}`;
  }
}

/** A name that nobody else takes. `randomUUID` is missing in pages without TLS. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (one) => one.toString(16).padStart(2, "0")).join("");
}

/** @param {Response} answer */
async function refusal(answer) {
  try {
    const { error } = await answer.json();
    return new Refused(answer.status, error.message, error.hint, error.param);
  } catch {
    return new Refused(answer.status, `answered ${answer.status}, not by this server`, "check the address");
  }
}
