// The login rules, what they have seen, and what looks wrong about them or about who clients are.

import { get } from "./api.js";
import { byId, el, onChange, replace, table } from "./dom.js";
import { clock, count, millis, number } from "./format.js";

/** The section. */
export function rules() {
  let sites = [];
  const shown = onChange(show);
  const refresh = async () => {
    const answer = await get("v1/rules");
    sites = [...new Set(answer.rules.map((rule) => rule.site))];
    shown(answer);
    return answer;
  };
  return { refresh, sites: () => sites };
}

function show({ rules: all, identity }) {
  const columns = [
    { label: "Login" },
    { label: "Site" },
    { label: "Succeeded", kind: "number" },
    { label: "Failed", kind: "number" },
    { label: "Unmatched", kind: "number" },
    { label: "No verdict", kind: "number" },
    { label: "Ignored", kind: "number" },
    { label: "Mode" },
  ];
  const rows = all.map((rule) => {
    const { success, failure, unmatched, no_verdict: silent, ignored } = rule.attempts;
    const counts = [success, failure, unmatched, silent, ignored].map(number);
    const mode = rule.mode === "monitor" ? el("span", { class: "tag" }, "monitor: refuses nothing") : "enforce";
    return [rule.login, rule.site, ...counts, mode];
  });
  const list = rows.length ? table({ caption: "Login rules", columns, rows }) : el("p", { class: "empty" }, "No site has a login rule: nothing is guarded.");
  replace(byId("rule-list"), list);
  const wrong = [
    ...all.filter((rule) => rule.suspicion).map((rule) => item(`${rule.site}, ${rule.login}`, rule.suspicion)),
    ...identity.map((one) => item(one.peer ? `Clients of ${one.peer}` : `Client ${one.client}`, `${one.reason} (${count(one.times, "time")}, ${clock(millis(one.latest))})`)),
  ];
  const notice = wrong.length
    ? el("div", { class: "notice warn" }, el("strong", {}, "This looks wrong"), el("ul", {}, wrong))
    : el("p", { class: "muted" }, "No rule looks wrong, and clients can be told apart.");
  replace(byId("suspicions"), notice);
}

const item = (where, what) => el("li", {}, el("strong", {}, `${where}: `), what);
