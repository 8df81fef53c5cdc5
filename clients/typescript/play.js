// Plays the steps of ../conformance.json against a server: node play.js URL TOKEN, or from a page. Tests hold what is seen against the file.

import { Constrained, Refused } from "./index.js";

export async function play(url, token, steps, pack, tell) {
  const server = new Constrained(url, token);
  const npc = server.npc(pack);
  let last, saved, reply;
  const seen = (one) => ({ ...one, effects: one.effects.map((effect) => effect.call) });
  for (const { do: kind, message = "", state, done, failed, button, pack: other } of steps) {
    const values = { ...(state && { state }), ...(done && { done }), ...(failed && { failed }) };
    if (kind === "say") {
      last = [message, { ...values, key: `${Math.random()}` }];
      tell(seen((reply = await npc.say(...last))));
    } else if (kind === "again") {
      tell(seen(await npc.say(...last)));
    } else if (kind === "press") {
      tell(seen(await npc.press((await npc.buttons(state)).find((one) => one.id === button), values)));
    } else if (kind === "finish") {
      tell(seen(await npc.finish(reply, values)));
    } else if (kind === "preview") {
      tell(seen(await npc.preview(message)));
    } else if (kind === "save") {
      saved = await npc.save();
      tell({});
    } else if (kind === "load") {
      await npc.load(saved);
      tell({});
    } else if (kind === "cancel") {
      tell({ cancelled: await npc.start(message, values).cancel() });
    } else if (kind === "refused") {
      tell({ status: await server.npc(other).say("hello").catch((error) => error instanceof Refused && error.status) });
    }
  }
}

if (globalThis.process?.argv?.[1]?.endsWith("play.js")) {
  const { readFileSync } = await import("node:fs");
  const { pack, steps } = JSON.parse(readFileSync(new URL("../conformance.json", import.meta.url), "utf8"));
  await play(process.argv[2], process.argv[3], steps, pack, (seen) => console.log(JSON.stringify(seen)));
}
