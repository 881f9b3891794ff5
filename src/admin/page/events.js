// The guard's events, as they happen.

import { follow, Refused } from "./api.js";
import { announce, button, byId, el, table } from "./dom.js";
import { number, second } from "./format.js";

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
  counters_reset: "Counters reset",
  locked_by_hand: "Locked by hand",
  rule_suspect: "Rule looks wrong",
  identity_suspect: "Client unclear",
  counter_evicted: "Counter evicted",
};
const LABELS = ["Time", "Event", "Who", "Where", "What"];
const KINDS = ["whole time", "event", "who", "site"];

/** These change who is locked out. */
const CHANGES = ["locked_out", "counters_reset", "locked_by_hand", "counters_cleared", "counter_evicted"];
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
  let waiting = [];
  let controller;

  const fits = (row) => filter.value === "all" || WITHIN[filter.value].includes(row.dataset.name);
  filter.addEventListener("change", () => {
    for (const row of body.children) row.hidden = !fits(row);
  });
  pause.addEventListener("click", () => {
    const paused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) {
      waiting.forEach(put);
      waiting = [];
    }
  });

  function put(row) {
    row.hidden = !fits(row);
    byId("events-none").hidden = true;
    body.prepend(row);
    while (body.children.length > MOST) body.lastElementChild.remove();
  }

  function take(name, data) {
    const event = parsed(data);
    const own = event.event ?? name;
    const row = own === "lost" || event.lost ? lost(event) : line(own, event, search);
    if (pause.getAttribute("aria-pressed") === "true") waiting = [...waiting, row].slice(-MOST);
    else put(row);
    if (own === "locked_out") announce(`${event.username ?? event.client ?? "Somebody"} is locked out.`);
    if (CHANGES.includes(own)) changed();
  }

  async function run() {
    controller?.abort();
    const mine = new AbortController();
    controller = mine;
    while (!mine.signal.aborted) {
      try {
        await follow("v1/events", mine.signal, () => (state.textContent = "live"), take);
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
  host.replaceChildren(table({ caption: "Events, the latest first", columns, rows: [] }));
  host.tabIndex = 0;
  host.setAttribute("role", "region");
  host.setAttribute("aria-label", "Events");
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
      : el("td", { role: "cell", class: KINDS[at], "data-label": LABELS[at] }, [content].flat()),
  );
  return el("tr", { role: "row", "data-name": name }, made);
}

function line(name, event, search) {
  const who = [event.username, event.client].filter((part) => part !== undefined && part !== null).join(" from ");
  const where = [event.site, event.login].filter(Boolean).join(", ");
  const what = [];
  if (event.limit) what.push(`limit ${event.limit}`);
  if (event.failures !== undefined && event.failures !== null) what.push(event.of ? `${event.failures} of ${event.of}` : `${event.failures} failures`);
  if (event.reason) what.push(event.reason);
  if (event.mode === "monitor") what.push("monitor");
  const reference = event.ref ? button(event.ref, () => search("ref", event.ref), { kind: "link", named: `Reference ${event.ref}: what refused it` }) : undefined;
  const time = Date.parse(event.time ?? event.ts ?? event.timestamp ?? "");
  return cells([second(Number.isNaN(time) ? Date.now() : time), NAMES[name] ?? name, who, where, [what.join(", "), what.length && reference ? ", " : "", reference]], name);
}

function lost(event) {
  const many = Number(event.lost ?? event.count ?? 0);
  return cells([second(Date.now()), "Not shown", "", "", `${number(many)} events came faster than this page takes them`], "lost");
}
