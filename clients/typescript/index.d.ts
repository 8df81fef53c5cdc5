/** What the server said in place of a reply: nothing was said. `status` is HTTP's, 0 where no answer came. */
export class Refused extends Error {
    /** @param {number} status @param {string} message @param {string} [hint] @param {string | null} [param] */
    constructor(status: number, message: string, hint?: string, param?: string | null);
    status: number;
    hint: string;
    param: string | null;
}
/** One server. */
export class Constrained {
    /**
     * @param {string} url @param {string} token
     * @param {Options} [options] effects: `hand_over` (the game's own, told with `done` and `failed`) or `run` (the server's)
     */
    constructor(url: string, token: string, options?: Options);
    url: string;
    token: string;
    effects: "hand_over" | "run";
    attempts: number;
    wait: (ms: number) => Promise<void>;
    /** A character, in a conversation of its own unless one is named. @param {string} pack @param {string} [conversation] */
    npc(pack: string, conversation?: string): Npc;
    /** What is served. @returns {Promise<{ packs: { pack: string, speaker: string }[], engines: string[] }>} */
    catalogs(): Promise<{
        packs: {
            pack: string;
            speaker: string;
        }[];
        engines: string[];
    }>;
    /**
     * Calls `hear` with every event from now on, until the returned function is called or the server goes away (`ended`).
     * @param {(event: ServerEvent) => void} hear @param {{ conversation?: string, ended?: (code: number) => void }} [options]
     * @returns {() => void}
     */
    events(hear: (event: ServerEvent) => void, options?: {
        conversation?: string;
        ended?: (code: number) => void;
    }): () => void;
    /**
     * The answer's body. Sent again while the server is away or full: with its key a turn is taken once, however often it is sent.
     * @param {string} method @param {string} path @param {object} [body] @param {{ attempts?: number, signal?: AbortSignal }} [options]
     * @returns {Promise<any>}
     */
    request(method: string, path: string, body?: object, options?: {
        attempts?: number;
        signal?: AbortSignal;
    }): Promise<any>;
}
/** A character in one conversation. */
export class Npc {
    /** @param {Constrained} server @param {string} pack @param {string} conversation */
    constructor(server: Constrained, pack: string, conversation: string);
    server: Constrained;
    pack: string;
    conversation: string;
    /** The reply to a message. @param {string} message @param {TurnValues} [values] @param {AbortSignal} [signal] stops waiting: see `start` */
    say(message: string, values?: TurnValues, signal?: AbortSignal): Promise<Reply>;
    /** A turn that can be called off while it is taken. @param {string} message @param {TurnValues} [values] @returns {Pending} */
    start(message: string, values?: TurnValues): Pending;
    /** What the player may say by a press now. @param {Record<string, any>} [state] */
    buttons(state?: Record<string, any>): Promise<Button[]>;
    /** @param {Button} button @param {TurnValues} [values] */
    press(button: Button, values?: TurnValues): Promise<Reply>;
    /**
     * What became of the effects of a reply. Resolves to what the character has to say to it, null where that is nothing:
     * then it goes with the next message, as `done`, `failed` and `state`.
     * @param {Reply} reply @param {TurnValues} values
     */
    finish(reply: Reply, values: TurnValues): Promise<Reply | null>;
    /** What would be said to a message; nothing is kept. @param {string} message @param {Record<string, any>} [state] @returns {Promise<Preview>} */
    preview(message: string, state?: Record<string, any>): Promise<Preview>;
    /** The conversation as one value, for the file of a saved game. @returns {Promise<Saved>} */
    save(): Promise<Saved>;
    /** Goes on where the saved conversation stood, in a new one. Gives what could not be kept as it was. @param {Saved} saved @returns {Promise<string[]>} */
    load(saved: Saved): Promise<string[]>;
    /** The last turns, after a restart of the game. @param {number} [turns] @returns {Promise<{ state: Record<string, any>, turns: Reply[] }>} */
    history(turns?: number): Promise<{
        state: Record<string, any>;
        turns: Reply[];
    }>;
    #private;
}
/**
 * what the game does: `call` is how it is written
 */
export type Effect = {
    name: string;
    args: any[];
    kwargs: Record<string, any>;
    call: string;
};
export type Option = {
    id: string;
    text: string;
    slots: Record<string, any>;
    line: string;
    probability: number | null;
    effects: string[];
};
export type Decision = {
    options: Option[];
    chosen: string;
    mode: string;
    margin: number;
    abstained: boolean;
    threshold: number;
    why: string;
};
/**
 * a message that the player can say by a press
 */
export type Button = {
    id: string;
    message: string;
};
/**
 * a turn as it was released; a customer's token gets `text`, `offered`, `goes_on` and what names the turn, and no more
 */
export type Reply = {
    turn_id: string;
    conversation: string;
    number: number;
    response_id: string;
    text: string;
    said: string[];
    voices: string[];
    slots: Record<string, any>;
    effects: Effect[];
    effects_outcome: string;
    source: "model" | "rules" | "fallback";
    decision: Decision;
    goes_on: boolean;
    offered: string[];
    state_before: Record<string, any>;
    state_after: Record<string, any> | null;
    is_repeat: boolean;
};
export type Preview = {
    response_id: string;
    text: string;
    source: string;
    effects: Effect[];
    decision: Decision;
    offered: string[];
    buttons: Button[];
};
export type Saved = {
    format: number;
    library: string;
    npcs: Record<string, any>;
    last_speaker: string;
};
export type ServerEvent = {
    kind: string;
    at: string;
    pack?: string;
    conversation?: string;
    turn_id?: string;
    number?: number;
    response_id?: string;
    source?: string;
    detail?: string;
};
/**
 * `key`: the idempotency key, made where it is missing
 */
export type TurnValues = {
    state?: Record<string, any>;
    done?: string[];
    failed?: string[];
    within?: number;
    locale?: string;
    engine?: string;
    key?: string;
};
export type Pending = {
    key: string;
    reply: Promise<Reply>;
    cancel: () => Promise<boolean>;
};
export type Options = {
    effects?: "hand_over" | "run";
    attempts?: number;
    wait?: (ms: number) => Promise<void>;
};
