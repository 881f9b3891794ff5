// The page begins here: what it asks the guard, how often, and what it says where it gets no answer.

import { get, hasToken, keep, Refused, Unreachable } from "./api.js";
import { byId, el, onChange } from "./dom.js";
import { about, clock, count, millis, zone } from "./format.js";
import { events } from "./events.js";
import { locked } from "./locked.js";
import { locking } from "./lock.js";
import { now } from "./now.js";
import { rules } from "./rules.js";
import { searching } from "./search.js";
import { tick } from "./counters.js";
import { unlocking } from "./unlock.js";

const EVERY = 5000;

const ruleList = rules();
const lock = locking(ruleList.sites, look);
const unlock = unlocking(look);
const found = searching({ unlock: unlock.counter, hand: unlock.hand, lock });
const lockedList = locked(unlock.counter, unlock.hand);
const numbers = now(found.search);
const live = events({ search: found.search, changed: soon, refused });

let timer;
let answered;

/** Asks for everything once, and again after a while. */
async function look() {
  clearTimeout(timer);
  try {
    const status = await get("v1/status");
    reached(status);
    // what can be told is told, whatever becomes of the rest
    const asked = await Promise.allSettled([ruleList.refresh(), lockedList.refresh(), numbers.refresh()]);
    const wrong = asked.filter((one) => one.status === "rejected").map((one) => one.reason);
    const grave = wrong.find((error) => error instanceof Refused || error instanceof Unreachable);
    if (grave) throw grave;
    notices({ status, rules: asked[0].value?.rules ?? [], wrong });
    answered = Date.now();
    document.body.dataset.state = wrong.length ? "wrong" : "live";
  } catch (error) {
    failed(error);
    if (error instanceof Refused) return;
  }
  timer = setTimeout(look, document.hidden ? EVERY * 6 : EVERY);
}

/** What others say has changed is looked at soon, once for many changes. */
const STATES = { leaving: "Is about to end", taking_over: "Takes over", handing_over: "Hands over" };

function soon() {
  clearTimeout(timer);
  timer = setTimeout(() => look().then(found.again), 150);
}

/** Whose the numbers are. */
const fleet = (store) => (store ? ` Counters and locks are those of all guards that share ${store.place}; charts, events, rules and whoever waits are this guard's.` : "");

function reached(status) {
  const begins = byId("content").hidden;
  byId("signin").hidden = true;
  byId("content").hidden = false;
  byId("sections").hidden = false;
  const state = byId("state");
  state.className = "state";
  const sites = Array.isArray(status.sites) ? status.sites.length : status.sites;
  state.textContent = `${STATES[status.state] ?? "Running"}, for ${about(status.uptime_s)} · ${count(sites, "site")}`;
  byId("about").textContent = `loginward ${status.version}, process ${status.pid}, configured by ${status.config ?? "its command line"}. Times are those of this browser (${zone()}).${fleet(status.store)}`;
  if (begins) {
    numbers.begin(status.uptime_s);
    live.run();
  }
}

function failed(error) {
  if (error instanceof Refused) {
    refused(error);
    return;
  }
  document.body.dataset.state = error instanceof Unreachable ? "gone" : "wrong";
  const state = byId("state");
  state.className = "state bad";
  state.textContent = error instanceof Unreachable ? "Not reachable" : "Answers with an error";
  const since = answered ? ` What you see is from ${clock(answered)}.` : "";
  show([{ kind: "bad", title: error.message, text: `It is asked again every few seconds.${since}` }]);
}

function refused(error) {
  clearTimeout(timer);
  live.stop();
  byId("content").hidden = true;
  byId("sections").hidden = true;
  document.body.dataset.state = "refused";
  const state = byId("state");
  state.className = "state";
  state.textContent = "Not signed in";
  if (!error.wantsToken) {
    show([{ kind: "bad", title: "This page may not ask the guard.", text: error.message }]);
    return;
  }
  show([]);
  byId("token-wrong").textContent = hasToken() ? "The guard refuses this token." : "";
  keep(null);
  byId("signin").hidden = false;
  byId("token").focus();
}

byId("signin").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = byId("token");
  keep(field.value.trim());
  field.value = "";
  look();
});

/** What has to be said before anything else. */
function notices({ status, rules: all, wrong }) {
  const said = wrong.map((error) => ({ kind: "bad", title: "The guard does not tell everything.", text: error.message }));
  const reload = status.reload ?? {};
  if (reload.successful === false) {
    const problems = (reload.problems ?? []).map((problem) => problem.text ?? problem);
    const since = millis(reload.latest_success);
    const text = `The guard goes on with what it read${since ? ` at ${clock(since)}` : " before"}.`;
    said.push({ kind: "bad", title: "The configuration cannot be used as it is now.", text, list: problems });
  } else if ((reload.problems ?? []).length) {
    said.push({ kind: "warn", title: "The configuration has doubtful places.", list: reload.problems.map((problem) => problem.text ?? problem) });
  }
  const watching = all.filter((rule) => rule.mode === "monitor");
  if (watching.length) {
    const where = watching.length === all.length ? "" : ` at ${watching.map((rule) => `${rule.site}, ${rule.login}`).join("; ")}`;
    said.push({ kind: "warn", title: `Monitor mode: nobody is locked out${where}.`, text: "What would be refused is counted and reported, and passes." });
  }
  if (status.store) said.push(...alone(status.store));
  if (status.state === "leaving") said.push({ kind: "warn", title: "The guard is about to end." });
  if (status.state === "taking_over") said.push({ kind: "warn", title: "This guard takes over from another, which still has the counters.", text: "What is asked about them waits until that one has settled its last attempts." });
  show(said);
}

const MEANWHILE = {
  local: { kind: "warn", text: "It counts alone, with what it knows. What you do here the other guards hear of when the store is back." },
  refuse: { kind: "bad", text: "It answers every login with 503, and counts nothing." },
  allow: { kind: "bad", text: "It lets every login through, and counts nothing; locks by hand still refuse." },
};

/** What to say while the counters that guards share are out of reach. */
function alone(store) {
  if (store.up) return [];
  const { kind, text } = MEANWHILE[store.on_outage] ?? MEANWHILE.local;
  const since = store.away_since ? ` since ${clock(millis(store.away_since))}` : "";
  const list = store.reason ? [`${store.place}: ${store.reason}`] : [];
  return [{ kind, title: `This guard is on its own${since}: the shared counters are out of reach.`, text, list }];
}

const show = onChange((said) => {
  const shown = said.map(({ kind, title, text, list }) =>
    el("div", { class: `notice ${kind}`, role: kind === "bad" ? "alert" : undefined }, el("strong", {}, title), text ? ` ${text}` : "", list?.length ? el("ul", {}, list.map((one) => el("li", {}, one))) : undefined),
  );
  byId("notices").replaceChildren(...shown);
});

byId("lock-button").addEventListener("click", () => lock());
numbers.changed.addEventListener("change", () => numbers.refresh().catch(failed));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && byId("signin").hidden) look();
});
setInterval(() => {
  if (tick()) soon();
}, 1000);
look();
