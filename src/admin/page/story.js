// What refused a reference, in sentences: what was reported of it, and the counters that it names.

import { follow, get } from "./api.js";
import { button, el } from "./dom.js";
import { endOf, left, tally, until } from "./counters.js";
import { clock, count, millis, whom } from "./format.js";

const EVENTS = "v1/events?follow=false&last=1000&name=locked_out,refused,would_refuse";

/** The chain of what refused `ref`; `dialogs` are what its buttons open. Nothing, where nothing is known of it. */
export async function story(ref, dialogs) {
  const [{ counters }, events] = await Promise.all([get("v1/counters", { ref, limit: 20 }), reported(ref)]);
  if (!counters.length && !events.length) return undefined;
  const begun = events.findLast((event) => event.event === "locked_out");
  const refusals = events.filter((event) => event.event !== "locked_out");
  return el(
    "div",
    { class: "story" },
    el("h3", {}, "Reference ", el("span", { class: "ref" }, ref)),
    refusals.length ? el("p", {}, refused(refusals)) : undefined,
    begun ? el("p", {}, began(begun)) : undefined,
    events.length ? undefined : el("p", { class: "muted" }, "What was reported of it is not among the latest 1,000 events any more."),
    counters.length ? el("ul", {}, counters.map((counter) => stands(counter, dialogs))) : el("p", { class: "muted" }, released(refusals)),
  );
}

/** The events of a reference among the latest of the guard. */
async function reported(ref) {
  const events = [];
  const take = ({ data }) => {
    const event = JSON.parse(data);
    if (event.ref === ref) events.push(event);
  };
  await follow(EVENTS, { signal: AbortSignal.timeout(15000) }, () => {}, take);
  return events;
}

const who = ({ username, client }) => whom({ username, ip_address: client });

const where = ({ site, login }) => [site, login].filter(Boolean).join(", ");

function refused(refusals) {
  const latest = refusals[refusals.length - 1];
  const verb = latest.event === "would_refuse" ? "would have been refused, but for monitor mode," : "was refused";
  const again = refusals.length > 1 ? ` It is the latest of ${count(refusals.length, "refusal")} with this reference.` : "";
  return `${clock(millis(latest.ts))}: a login of ${who(latest)} ${verb} at ${where(latest)}: ${latest.reason}.${again}`;
}

function began(event) {
  return `${clock(millis(event.ts))}: the lockout began, when ${who(event)} reached ${event.failures} of ${event.of} failures (limit ${event.limit}).`;
}

/** How a counter stands now, and what would change that. */
function stands(counter, dialogs) {
  const limit = `${whom(counter.parameters)} at ${counter.site}, limit ${counter.limit}: ${tally(counter)}`;
  const end = endOf(counter);
  const state = end === undefined ? [" failures, not locked now."] : [", locked for ", left(end), end === Infinity ? "" : ` (until ${until(end)})`, "."];
  const change = button(`${counter.locked ? "Unlock" : "Reset"} …`, () => dialogs.unlock(counter), { kind: "small", focus: counter.id });
  return el("li", {}, limit, state, " ", change);
}

function released(refusals) {
  const reason = refusals[refusals.length - 1]?.reason ?? "";
  if (/by hand/.test(reason)) return "It is a lock by hand: release it in the list below.";
  return "No counter holds anything of it any more: whatever locked is over or was reset.";
}
