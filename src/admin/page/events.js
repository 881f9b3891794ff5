// The guard's events, as they happen.

import { follow, Refused } from "./api.js";
import { announce, button, byId, el, table } from "./dom.js";
import { count, millis, second } from "./format.js";

const MOST = 200;
const AGAIN = 3000;

const NAMES = {
  login_failed: "Login failed",
  login_failed_again: "Login failed again",
  locked_out: "Locked out",
  refused: "Refused",
  would_refuse: "Would be refused",
  login_succeeded: "Login succeeded",
  counters_cleared: "Counters cleared",
  never_locked_failed: "Failed, never locked",
  logged_out: "Logged out",
  counters_exported: "Counters exported",
  counters_imported: "Counters imported",
  counters_reset: "Counters reset",
  locked_by_hand: "Locked by hand",
  rule_suspect: "Rule looks wrong",
  identity_suspect: "Client unclear",
  counter_evicted: "Counter evicted",
};

/** What an event is called. */
const called = (name) => NAMES[name] ?? (name[0].toUpperCase() + name.slice(1)).replaceAll("_", " ");
const LABELS = ["Time", "Event", "Who", "Where", "What"];
const KINDS = ["whole time", "event", "who", "site", "what"];

/** These change who is locked out. */
const CHANGES = ["locked_out", "counters_reset", "counters_imported", "locked_by_hand", "counters_cleared", "counter_evicted", "reloaded", "reload_failed"];
const FILTERS = { all: "Everything", lockouts: "Lockouts and operators", failures: "Failures and refusals" };
const WITHIN = {
  lockouts: ["locked_out", "counters_reset", "locked_by_hand", "rule_suspect", "identity_suspect", "counter_evicted"],
  failures: ["login_failed", "login_failed_again", "never_locked_failed", "refused", "would_refuse", "locked_out"],
};

/** The section; `search` gets a reference, `changed` is called when others have to look again, `refused` where the token is. */
export function events({ search, changed, refused }) {
  const filter = byId("event-filter");
  filter.replaceChildren(...Object.entries(FILTERS).map(([value, label]) => el("option", { value }, label)));
  const pause = byId("event-pause");
  const state = byId("events-state");
  const body = begin();
  const opened = Date.now();
  let waiting = [];
  let paused = false;
  let controller;
  let after;

  const fits = (row) => filter.value === "all" || WITHIN[filter.value].includes(row.dataset.name);
  filter.addEventListener("change", () => {
    for (const row of body.children) row.hidden = !fits(row);
  });
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.textContent = paused ? "Go on" : "Pause";
    put();
  });

  /** Shows what has come, once for everything that came since the last picture: a flood is one change. */
  function put() {
    if (paused || !waiting.length) return;
    const rows = waiting.map((make) => make()).reverse();
    waiting = [];
    for (const row of rows) row.hidden = !fits(row);
    byId("events-none").hidden = true;
    body.prepend(...rows);
    while (body.children.length > MOST) body.lastElementChild.remove();
  }

  function take({ id, event: kind, data }) {
    after = id ?? after;
    const event = parsed(data);
    const name = event.event ?? kind;
    waiting.push(() => (kind === "lost" ? lost(event) : line(name, event, search)));
    if (waiting.length > MOST) waiting.shift();
    if (waiting.length === 1) requestAnimationFrame(put);
    if (Date.parse(event.ts) < opened) return;
    if (name === "locked_out") announce(`${event.username ?? event.client ?? "Somebody"} is locked out.`);
    if (CHANGES.includes(name)) changed();
  }

  async function run() {
    controller?.abort();
    const mine = new AbortController();
    controller = mine;
    while (!mine.signal.aborted) {
      try {
        const live = () => (state.textContent = "live");
        await follow("v1/events?last=100", { signal: mine.signal, after }, live, take);
      } catch (error) {
        if (mine.signal.aborted) return;
        if (error instanceof Refused) {
          state.textContent = "";
          refused(error);
          return;
        }
      }
      state.textContent = "not connected, trying again";
      await new Promise((again) => setTimeout(again, AGAIN));
    }
  }
  return { run, stop: () => controller?.abort() };
}

function begin() {
  const columns = LABELS.map((label, at) => ({ label, kind: KINDS[at] }));
  const host = byId("event-list");
  host.replaceChildren(table({ caption: "Events, the latest first", columns, rows: [], kind: "log" }));
  host.tabIndex = 0;
  host.setAttribute("role", "region");
  host.setAttribute("aria-label", "List of events");
  return host.querySelector("tbody");
}

function parsed(data) {
  try {
    return JSON.parse(data);
  } catch {
    return { reason: data };
  }
}

function cells(contents, name) {
  const made = contents.map((content, at) =>
    at === 0
      ? el("th", { scope: "row", role: "rowheader", class: KINDS[at] }, content)
      : el("td", { role: "cell", class: KINDS[at] }, [content].flat()),
  );
  return el("tr", { role: "row", "data-name": name }, made);
}

function line(name, event, search) {
  const who = [event.username, event.client].filter((part) => part !== undefined && part !== null).join(" from ");
  const where = [event.site, event.login].filter(Boolean).join(", ");
  const what = [];
  if (event.limit) what.push(`limit ${event.limit}`);
  if (event.failures !== undefined && event.failures !== null) what.push(event.of ? `${event.failures} of ${event.of}` : `${event.failures} failures`);
  what.push(...[event.reason, event.message, event.address].filter(Boolean).map(String));
  if (event.mode === "monitor") what.push("monitor");
  if (!what.length) what.push(...others(event));
  const reference = event.ref ? button(event.ref, () => search("ref", event.ref), { kind: "link", named: `Reference ${event.ref}: what refused it` }) : undefined;
  return cells([second(millis(event.ts) ?? Date.now()), called(name), who, where, [what.join(", "), what.length && reference ? ", " : "", reference]], name);
}

const SAID = ["ts", "level", "event", "site", "login", "client", "peer", "username", "mode", "ref"];

/** What an event says that has no column, as `name: value`. */
function others(event) {
  const rest = Object.entries(event).filter(([name, value]) => !SAID.includes(name) && value !== null && value !== "");
  return rest.map(([name, value]) => `${name.replaceAll("_", " ")}: ${value}`);
}

function lost(event) {
  return cells([second(Date.now()), "Not shown", "", "", `${count(Number(event.lost), "event")} came faster than this page takes them`], "lost");
}
