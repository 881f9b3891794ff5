// What happens now: the guard's numbers of the last hours as charts, and who fails most.

import { get } from "./api.js";
import { button, byId, el, onChange, replace, table } from "./dom.js";
import { chart } from "./charts.js";
import { count, number } from "./format.js";
import { buckets } from "./scale.js";

/** How long a column is, by how far back the charts go. */
const BUCKETS = { 900: 30, 3600: 60, 21600: 600, 86400: 1800 };
const SAID = { 900: "in the last 15 minutes", 3600: "in the last hour", 21600: "in the last 6 hours", 86400: "in the last 24 hours" };

const OUTCOMES = [
  { key: "success", label: "succeeded", color: "c1" },
  { key: "failure", label: "failed", short: "failed by a rule", column: "failed by a rule", color: "c2" },
  { key: "unmatched", label: "of them unmatched", short: "failed, unmatched", column: "unmatched", color: "c4" },
  { key: "no_verdict", label: "of them no verdict", short: "failed without a verdict", column: "no verdict", color: "c3" },
  { key: "ignored", label: "ignored", color: "c5" },
];
const REFUSALS = [
  { key: "locked", label: "locked out", color: "c2" },
  { key: "denied", label: "denied", color: "c4" },
  { key: "refused", label: "malformed", color: "c3" },
  { key: "busy", label: "busy", color: "c6" },
  { key: "error", label: "application failed", color: "c1" },
  { key: "would_refuse", label: "would be refused", color: "c5" },
];
const LOCKOUTS = [
  { key: "lockouts", label: "begun", color: "c1" },
  { key: "in_force", label: "in force", line: true, take: Math.max },
];

const span = () => Number(document.querySelector("#spans input:checked").value);

/** The section; `search` is called with what somebody wants to know more about. */
export function now(search) {
  const charts = {
    attempts: chart(byId("chart-attempts"), { id: "attempts", title: "Login attempts" }),
    refusals: chart(byId("chart-refusals"), { id: "refusals", title: "Refused requests" }),
    lockouts: chart(byId("chart-lockouts"), { id: "lockouts", title: "Lockouts" }),
  };
  const shown = onChange((tops) => showTops(tops, search));
  const refresh = async () => {
    const wanted = span();
    const statistics = await get("v1/statistics", { span_s: wanted, tops: 8 });
    if (wanted !== span()) return; // somebody has chosen another meanwhile
    show(charts, statistics, wanted);
    if (statistics.tops) shown(statistics.tops);
  };
  /** A guard that has not run for long is looked at closely, unless somebody wants otherwise. */
  const begin = (uptime) => {
    if (uptime < 900) document.querySelector("#spans input[value='900']").checked = true;
  };
  return { refresh, begin, changed: byId("spans") };
}

function show(charts, statistics, wanted) {
  const { attempts, refusals, would_refuse: would, lockouts, in_force: inForce } = statistics.series;
  const common = { statistics, wanted };
  const all = model(common, { ...attempts }, OUTCOMES);
  // whatever no rule matches, and what has no verdict, is a failure too
  const failed = all.series.filter((series) => ["failure", "unmatched", "no_verdict"].includes(series.key));
  for (const series of failed) if (series.key === "failure") series.whole = total(failed);
  charts.attempts({ ...all, total: total(all.series), note: SAID[wanted] });
  const refused = model(common, { ...refusals, would_refuse: would }, REFUSALS);
  const counted = refused.series.filter((series) => series.key !== "would_refuse");
  charts.refusals({ ...refused, total: total(counted), note: SAID[wanted] });
  const locked = model(common, { lockouts, in_force: inForce }, LOCKOUTS);
  charts.lockouts({ ...locked, total: inForce[inForce.length - 1] ?? 0, note: "in force now" });
}

const total = (series) => series.flatMap((one) => one.values).reduce((all, value) => all + value, 0);

/** What a chart shows; of kinds that did not occur only the first two are named. */
function model({ statistics, wanted }, values, kinds) {
  const options = { end: statistics.end, step: statistics.step_s, bucket: BUCKETS[wanted], span: wanted };
  let start;
  const series = kinds.map((kind) => {
    const summed = buckets(values[kind.key] ?? [], { ...options, take: kind.take });
    start = summed.start;
    return { ...kind, values: summed.sums };
  });
  const occurring = series.filter((one, at) => at < 2 || one.values.some(Boolean));
  return { series: occurring, start: start * 1000, bucket: BUCKETS[wanted] * 1000, since: statistics.since * 1000 };
}

const TOPS = [
  { key: "ip_address", host: "top-addresses", title: "Addresses", kind: "ip", none: "No address has failures that count." },
  { key: "ip_network", host: "top-networks", title: "Networks", kind: "network", none: "No network has failures that count." },
  { key: "username", host: "top-usernames", title: "Usernames", kind: "username", none: "No username has failures that count." },
];

function showTops(tops, search) {
  for (const { key, host, title, kind, none } of TOPS) {
    const top = tops[key] ?? [];
    const rows = top.map((one) => [
      button(one.value, () => search(kind, one.value), { kind: "link", focus: one.value, named: `${one.value}: find its counters` }),
      number(one.failures),
      one.locked ? number(one.locked) : "",
    ]);
    const columns = [{ label: title }, { label: "Failures", kind: "number" }, { label: "Locked", kind: "number" }];
    const empty = el("div", {}, el("h3", {}, title), el("p", { class: "empty" }, none));
    replace(byId(host), rows.length ? table({ caption: title, columns, rows, kind: "plain" }) : empty);
  }
  byId("failures-title").querySelector(".aside").textContent =
    tops.complete === false ? "in a part of the counters: there are too many" : `that count at present, in ${count(tops.counters, "counter")}`;
}
