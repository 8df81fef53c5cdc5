// Asks the server, with its token.

const KEPT = "constrained-token";
const REFUSED = [4401, 4403]; // the codes with which the server closes a line: no token of its own, or none for this

// A link may carry the token behind the #, which no browser sends on; it is taken out of the address at once.
export function takeTokenFromAddress() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!given) return;
  keepToken(given);
  history.replaceState(null, "", location.pathname + location.search);
}

export function keepToken(token) {
  sessionStorage.setItem(KEPT, token.trim());
}

export function hasToken() {
  return Boolean(sessionStorage.getItem(KEPT));
}

export class ServerError extends Error {
  constructor(status, detail, retryAfter) {
    super(detail.message);
    this.status = status;
    this.hint = detail.hint ?? "";
    this.retryAfter = retryAfter;
  }
}

export const catalogs = () => ask("GET", "v1/catalogs");
export const catalog = (pack) => ask("GET", `v1/catalogs/${encodeURIComponent(pack)}`);
export const takeTurn = (body) => ask("POST", "v1/turns", body);
export const fork = (conversation, body) => ask("POST", `v1/conversations/${encodeURIComponent(conversation)}/fork`, body);

export async function ask(method, path, body) {
  const headers = { Accept: "application/json" };
  const token = sessionStorage.getItem(KEPT);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method, headers, body: body && JSON.stringify(body), credentials: "omit", cache: "no-store" });
  } catch {
    throw new ServerError(0, { message: "The server did not answer.", hint: "Is it still running? Nothing was said; you may send it again." });
  }
  const found = await answer.json().catch(() => null);
  if (answer.ok && found) return found;
  throw new ServerError(answer.status, told(found, answer), answer.headers.get("Retry-After"));
}

function told(found, answer) {
  if (found?.error?.message) return found.error;
  if (Array.isArray(found?.detail)) return { message: found.detail.map((one) => `${one.loc?.at(-1)}: ${one.msg}`).join("; ") };
  return { message: `The server answered ${answer.status} ${answer.statusText}.`, hint: "Nothing was said." };
}

// A key for each message: sent again after a failure, it is answered from what was stored and runs nothing twice.
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// What happens at the server: packs that were edited, a stop. ``news`` gets each event; the line is opened anew when it breaks.
// ``opened`` is called whenever it stands again: what happened before that is to be asked for.
export function listen(news, pause = 1000, opened = () => {}) {
  const token = sessionStorage.getItem(KEPT);
  if (!token) return;
  const line = new WebSocket(new URL("v1/events", location.href).href.replace(/^http/, "ws").replace(/#.*$/, ""), ["constrained", `token.${token}`]);
  line.addEventListener("open", () => {
    pause = 1000;
    opened();
  });
  line.addEventListener("message", (event) => news(JSON.parse(event.data)));
  line.addEventListener("close", (event) => {
    if (!REFUSED.includes(event.code)) setTimeout(() => listen(news, Math.min(2 * pause, 30000), opened), pause);
  });
}
