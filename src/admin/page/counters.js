// Counters as tables show them, and the time that a lockout has left, counting down.

import { button, el, table } from "./dom.js";
import { clock, duration, number, whom } from "./format.js";

/** The end of a lockout by this browser's clock; `Infinity` if it has none. */
export function endOf(counter) {
  if (!counter.locked) return undefined;
  return counter.remaining_s === null || counter.remaining_s === undefined ? Infinity : Date.now() + counter.remaining_s * 1000;
}

/** The time that is left, which goes on by itself; see [`tick`]. */
export function left(end) {
  if (end === Infinity) return el("span", {}, "until unlocked");
  return el("span", { class: "left", "data-end": end }, duration((end - Date.now()) / 1000));
}

/** Counts every time that is left down; returns whether one of them has come to its end. */
export function tick() {
  let ended = false;
  for (const span of document.querySelectorAll("[data-end]")) {
    const seconds = (Number(span.dataset.end) - Date.now()) / 1000;
    span.textContent = seconds > 0 ? duration(seconds) : "over";
    if (seconds <= 0) {
      ended = true;
      span.removeAttribute("data-end");
    }
  }
  return ended;
}

/** `5 of 5`. */
export const tally = (counter) => `${number(counter.failures)} of ${number(counter.of)}`;

/** `2 without a verdict`, `3 under way, 1 here`, `1 waiting here`: each is a line of its own. */
function notes(counter) {
  const shared = counter.places_here !== null && counter.places_here !== undefined;
  const said = [];
  if (counter.without_verdict) said.push(`${number(counter.without_verdict)} without a verdict`);
  if (counter.places) said.push(`${number(counter.places)} under way${shared ? `, ${number(counter.places_here)} here` : ""}`);
  if (counter.waiting) said.push(`${number(counter.waiting)} waiting${shared ? " here" : ""}`);
  return said.flatMap((text) => [el("br"), el("span", { class: "less" }, text)]);
}

/** The name of a limit, which may go on in another line after each `+`. */
const breakable = (limit) => limit.split(/(?<=\+)/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]));

const scope = (counter) => (counter.login ? `${counter.site}, ${counter.login}` : counter.site);

/** The time of day at which a lockout ends. */
export const until = (end) => (end === Infinity ? "" : clock(end));

/** A table of counters; `unlock` is called with the one that somebody wants to unlock. */
export function counterTable(counters, { caption, shown, unlock }) {
  const columns = [
    { label: "Who", kind: "who" },
    { label: "Site", kind: "site" },
    { label: "Limit", kind: "limit" },
    { label: "Failures", kind: "whole" },
    { label: "Time left", kind: "whole left-time" },
    { label: "Until", kind: "whole lasting" },
    { label: "Reference", kind: "whole" },
    { kind: "act" },
  ];
  const rows = counters.map((counter) => {
    const end = endOf(counter);
    const name = whom(counter.parameters);
    const label = counter.locked ? "Unlock" : "Reset";
    return [
      name,
      scope(counter),
      breakable(counter.limit),
      [tally(counter), ...notes(counter)],
      end === undefined ? "" : left(end),
      end === undefined ? "" : until(end),
      el("span", { class: "ref" }, counter.ref),
      button(label, () => unlock(counter), { kind: "small", focus: counter.id, named: `${label} ${name} at ${counter.site}, limit ${counter.limit}` }),
    ];
  });
  return table({ caption, shown, columns, rows });
}
