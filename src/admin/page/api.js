// Asking the guard. The token, where one is needed, is in this tab's memory and its session storage
// and nowhere else; it goes into one header and never into an address.

const KEY = "loginward-token";
let token = stored();

function stored() {
  try {
    return sessionStorage.getItem(KEY);
  } catch {
    return null; // a browser may forbid it: then the tab's memory has to do
  }
}

/** Keeps another token, or none. */
export function keep(next) {
  token = next;
  try {
    if (next) sessionStorage.setItem(KEY, next);
    else sessionStorage.removeItem(KEY);
  } catch {
    // as above
  }
}

/** Whether there is a token that could be refused. */
export const hasToken = () => Boolean(token);

/** Nobody answers. */
export class Unreachable extends Error {}
/** The token is wrong or missing, or the link that led here has been used up. */
export class Refused extends Error {
  constructor(message, wantsToken) {
    super(message);
    this.wantsToken = wantsToken;
  }
}
/** The guard answers that something is wrong, in words; `status` is that of HTTP. */
export class Problem extends Error {
  constructor(message, status, body) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

async function send(path, options) {
  const headers = { accept: "application/json", ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { cache: "no-store", redirect: "error", ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Unreachable("The guard cannot be reached.");
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  const text = body.detail ?? body.error ?? body.title ?? `It answers with status ${response.status}.`;
  if (response.status === 401) {
    throw new Refused(text, /bearer/i.test(response.headers.get("www-authenticate") ?? ""));
  }
  // what stands between page and guard says so itself
  if ([502, 503, 504].includes(response.status)) throw new Unreachable(text);
  throw new Problem(text, response.status, body);
}

/** A path with a query; parameters without a value are left out. */
export function target(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  return given.length ? `${path}?${new URLSearchParams(given)}` : path;
}

/** Asks for something. */
export async function get(path, query) {
  const patience = AbortSignal.timeout(15000);
  try {
    return await (await send(target(path, query), { signal: patience })).json();
  } catch (error) {
    if (error.name === "AbortError" || error.name === "TimeoutError") {
      throw new Unreachable("The guard does not answer.");
    }
    throw error;
  }
}

/** Has something done. */
export async function post(path, body) {
  const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  return (await send(path, options)).json();
}

/**
 * Follows server-sent events, until `signal` or the guard ends them; those after the one with the id
 * `after`, where there is one. EventSource would do this, but it cannot send a token.
 */
export async function follow(path, { signal, after }, begun, each) {
  const headers = { accept: "text/event-stream" };
  if (after) headers["last-event-id"] = after;
  const response = await send(path, { signal, headers });
  begun();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    blocks.forEach((block) => dispatch(block, each));
    // no event is that long: whatever this is, it is not kept
    if (rest.length > 1 << 20) rest = "";
  }
}

function dispatch(block, each) {
  const fields = {};
  for (const line of block.split(/\r?\n/)) {
    const [, field, value] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field) fields[field] = value;
  }
  if (fields.data) each(fields);
}
