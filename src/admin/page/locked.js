// Who is locked out, by counters and by hand.

import { get } from "./api.js";
import { announce, button, byId, el, onChange, replace, table } from "./dom.js";
import { counterTable, endOf, left, until } from "./counters.js";
import { count, number, whom } from "./format.js";

const PAGE = 25;

/** The section; `unlock` is called with a counter, `release` with a lock by hand. */
export function locked(unlock, release) {
  let wanted = PAGE;
  let before;
  const more = () => {
    wanted += PAGE;
    return refresh();
  };
  // what is left of the time changes with every answer and counts down by itself
  const shown = onChange((_, counters, total, locks) => show(counters, total, locks, { unlock, release, more }));
  async function refresh() {
    const [{ counters, total }, answer] = await Promise.all([upTo(wanted), get("v1/locks")]);
    const locks = answer.locks.map(({ what, ...rest }) => ({ ...what, ...rest }));
    shown([counters.map(steady), total, locks.map(steady)], counters, total, locks);
    const all = total + locks.length;
    // the chart of lockouts counts those by failures alone
    const said = [total ? number(total) : "", locks.length ? `${number(locks.length)} by hand` : ""];
    byId("locked-count").textContent = said.filter(Boolean).join(" and ");
    if (before !== undefined && before !== all) announce(all ? `${count(all, "lockout")} in force.` : "Nobody is locked out.");
    before = all;
  }
  return { refresh };
}

/** What of a counter or a lock does not change from one moment to the next. */
const steady = ({ remaining_s: _, ...rest }) => rest;

/** The first so many, page by page. */
async function upTo(wanted) {
  const query = { state: "locked", sort: "remaining", order: "desc", limit: PAGE };
  const counters = [];
  let cursor;
  let total = 0;
  do {
    const part = await get("v1/counters", { ...query, cursor });
    counters.push(...part.counters);
    total = part.total;
    cursor = part.next ?? undefined;
  } while (cursor && counters.length < wanted);
  return { counters, total };
}

function show(counters, total, locks, { unlock, release, more }) {
  const host = byId("locked-list");
  const parts = [];
  if (locks.length) parts.push(handTable(locks, release));
  if (counters.length) parts.push(counterTable(counters, { caption: "Locked by failures", shown: locks.length > 0, unlock }));
  if (total > counters.length) {
    const rest = `Show more (${number(total - counters.length)} not shown)`;
    parts.push(el("p", { class: "more" }, button(rest, more, { focus: "more" })));
  }
  if (!parts.length) parts.push(el("p", { class: "empty" }, "Nobody is locked out."));
  replace(host, parts);
}

/** A table of locks by hand; `release` is called with the one that somebody wants to unlock. */
export function handTable(locks, release) {
  const columns = [
    { label: "Who", kind: "who" },
    { label: "Site", kind: "site" },
    { label: "Reason" },
    { label: "Time left", kind: "whole left-time" },
    { label: "Until", kind: "whole lasting" },
    { kind: "act" },
  ];
  const rows = locks.map((lock) => {
    const end = endOf({ ...lock, locked: true });
    const name = lockName(lock);
    return [
      name,
      lock.site ?? "every site",
      lock.reason ?? "",
      left(end),
      until(end),
      button("Unlock", () => release(lock), { kind: "small", focus: `hand ${name} ${lock.site ?? ""}`, named: `Unlock ${name}, locked by hand` }),
    ];
  });
  return table({ caption: "Locked by hand", shown: true, columns, rows });
}

/** Whom a lock by hand is about. */
export function lockName(lock) {
  if (lock.counter) return `counter ${lock.counter}`;
  const parameters = { username: lock.username, ip_address: lock.ip, ip_network: lock.network };
  return whom(parameters);
}
