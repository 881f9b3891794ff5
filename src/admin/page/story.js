// What refused a reference, in sentences.

import { button, el } from "./dom.js";
import { left } from "./counters.js";
import { clock, millis, number, whom } from "./format.js";

/** The chain of what refused `ref`; `dialogs` are what its buttons open. */
export function story(ref, chain, dialogs) {
  const when = millis(chain.when);
  const who = chain.client ? `A request from ${chain.client}` : "A request";
  const tried = chain.username ? ` for the username ${chain.username}` : "";
  const where = [chain.site, chain.login].filter(Boolean).join(", ");
  const locked = chain.counters ?? [];
  const steps = locked.map((counter) => {
    const count = `${whom(counter.parameters)} reached ${number(counter.of)} failures (limit ${counter.limit})`;
    const state = counter.locked ? [" and is locked: ", left(counter.remaining_s === null ? Infinity : Date.now() + counter.remaining_s * 1000), " "] : [" and is not locked any more. "];
    return el("li", {}, count, state, counter.locked ? button("Unlock …", () => dialogs.unlock(counter), { kind: "small", focus: counter.id }) : undefined);
  });
  return el(
    "div",
    { class: "story" },
    el("h3", {}, "Reference ", el("span", { class: "ref" }, ref)),
    el("p", {}, `${who}${tried} was refused${where ? ` at ${where}` : ""}${when ? `, ${clock(when)}` : ""}: ${chain.reason ?? chain.kind}.`),
    steps.length ? el("ol", {}, steps) : undefined,
    chain.unlock ? el("p", { class: "muted" }, chain.unlock) : undefined,
  );
}
