// What refused a reference, in sentences: what the guard remembers of it, and how its counters stand.

import { get, Problem } from "./api.js";
import { button, el } from "./dom.js";
import { endOf, left, tally, until } from "./counters.js";
import { lockName } from "./locked.js";
import { clock, count, millis, whom } from "./format.js";

/** The chain of what refused `ref`; `dialogs` are what its buttons open. Nothing, where nothing is known of it. */
export async function story(ref, dialogs) {
  let chain;
  try {
    chain = await get(`v1/references/${encodeURIComponent(ref)}`);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return undefined;
    throw error;
  }
  const hands = chain.locks_by_hand.map(({ what, ...lock }) => byHand({ ...what, ...lock }, dialogs));
  const steps = [...hands, ...chain.counters.map((counter) => stands(counter, dialogs))];
  const locks = hands.length || chain.counters.some((counter) => counter.locked);
  const others = chain.others.map((counter) => stands(counter, dialogs));
  return el(
    "div",
    { class: "story" },
    el("h3", {}, "Reference ", el("span", { class: "ref" }, chain.ref)),
    el("p", {}, chain.when ? refused(chain) : `Of its counter: ${chain.reason}.`),
    chain.people.length > 1 ? el("p", {}, `It was also told to ${chain.people.slice(1).map(person).join("; ")}.`) : undefined,
    steps.length ? [el("h4", {}, chain.when ? "What refused it" : "The counter"), el("ul", {}, steps)] : undefined,
    others.length ? [el("h4", {}, "What counts the same attempts besides"), el("ul", {}, others)] : undefined,
    // what locks has its button
    locks ? undefined : el("p", { class: "muted" }, chain.unlock),
  );
}

function refused(chain) {
  const who = whom({ username: chain.username ?? undefined, ip_address: chain.client ?? undefined });
  const where = [chain.site, chain.login].filter(Boolean).join(", ");
  const again = chain.times > 1 ? ` It is the latest of ${count(chain.times, "refusal")} since ${clock(millis(chain.first))}.` : "";
  return `${clock(millis(chain.when))}: a request of ${who}${where ? ` at ${where}` : ""} was answered ${chain.status}: ${chain.reason}.${again}`;
}

const person = (one) =>
  `${whom({ username: one.username ?? undefined, ip_address: one.client ?? undefined })} at ${clock(millis(one.when))}`;

/** How a counter stands now, and what would change that. */
function stands(counter, dialogs) {
  const limit = `${whom(counter.parameters)} at ${counter.site}, limit ${counter.limit}: ${tally(counter)} failures`;
  const end = endOf(counter);
  const state = end === undefined ? [", not locked now."] : [", locked for ", left(end), end === Infinity ? "." : ` (until ${until(end)}).`];
  const change = button(`${counter.locked ? "Unlock" : "Reset"} …`, () => dialogs.unlock(counter), { kind: "small", focus: counter.id });
  return el("li", {}, limit, state, " ", change);
}

function byHand(lock, dialogs) {
  const reason = lock.reason ? `: ${lock.reason}` : "";
  const end = endOf({ ...lock, locked: true });
  return el("li", {}, `${lockName(lock)} is locked by hand${reason}, for `, left(end), ". ", button("Unlock …", () => dialogs.hand(lock), { kind: "small" }));
}
