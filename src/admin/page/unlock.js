// The dialog that unlocks: it says what will be removed, and afterwards what still locks.

import { get, post } from "./api.js";
import { button, byId, el } from "./dom.js";
import { count, whom } from "./format.js";
import { lockName } from "./locked.js";
import { tally } from "./counters.js";

/** So many of those that lock nevertheless are named. */
const SHOWN = 20;

/** Opens `dialog` with `children`; closing it gives the focus back to whoever had it. */
export function open(dialog, ...children) {
  dialog.replaceChildren(...children.flat().filter(Boolean));
  if (!dialog.open) dialog.showModal();
}

/** The dialog; `done` is called when something was removed. */
export function unlocking(done) {
  const dialog = byId("unlock");
  const close = () => dialog.close();

  /** Asks about one counter. */
  const counter = async (one) => {
    const choices = [{ selector: { counter: one.id }, label: "This counter alone", note: `limit ${one.limit} at ${one.site}: ${tally(one)} failures` }];
    const { username, ip_address: address, ip_network: network } = one.parameters;
    if (username !== undefined) choices.push({ selector: { username }, label: `Everything of the username ${username}` });
    if (address !== undefined) choices.push({ selector: clientOf(address), label: `Everything of the address ${address}` });
    if (network !== undefined) choices.push({ selector: { network }, label: `Everything of the network ${network}` });
    ask(`${one.locked ? "Unlock" : "Reset"} ${whom(one.parameters)}?`, choices);
  };

  /** Asks about a lock by hand. */
  const hand = (lock) => {
    const { username, ip, network, site, counter: id } = lock;
    const note = lock.reason ? `Locked by hand, because: ${lock.reason}` : "Locked by hand";
    const selector = given({ username, ip, network, site, counter: id });
    const more = `The lock, and the failures and lockouts of ${lockName(lock)}`;
    const choices = lock.all
      ? [{ selector: { all: true, only: "by_hand" }, label: "All locks by hand", note }]
      : [{ selector: { ...selector, only: "by_hand" }, label: "The lock alone", note }, { selector, label: more }];
    ask(`Unlock ${lockName(lock)}?`, choices);
  };

  function ask(title, choices) {
    const options = choices.map((choice, at) => option(choice, at, choices.length > 1));
    const wrong = el("p", { class: "wrong", role: "alert" });
    const confirm = el("button", { type: "submit", class: "main" }, "Unlock");
    const form = el(
      "form",
      { method: "dialog", class: "body" },
      el("h2", { id: "unlock-title" }, title),
      choices.length > 1 ? el("fieldset", {}, el("legend", {}, "What will be removed"), options) : options,
      el("p", { class: "muted" }, "Failures, lockouts and how often there were some are forgotten. Attempts under way go on."),
      wrong,
      el("div", { class: "buttons" }, button("Cancel", close), confirm),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const chosen = choices[Number(form.querySelector("input:checked")?.value ?? 0)];
      confirm.disabled = true;
      try {
        tell(await post("v1/reset", chosen.selector));
        done();
      } catch (error) {
        wrong.textContent = error.message;
        confirm.disabled = false;
      }
    });
    open(dialog, form);
    confirm.focus();
  }

  function tell({ removed, locks_by_hand: hands, still_locked: still, still_locked_total: total, still_locked_by_hand: byHand }) {
    const what = hands && !removed ? [] : [count(removed, "counter")];
    if (hands) what.push(count(hands, "lock by hand", "locks by hand"));
    const rest = [
      ...byHand.map(({ what: about, ...lock }) => left(`${lockName(about)}, by hand${about.site ? ` at ${about.site}` : ""}`, () => hand({ ...about, ...lock }))),
      ...still.map((one) => left(`${whom(one.parameters)}, limit ${one.limit} at ${one.site}`, () => counter(one))),
    ].slice(0, SHOWN);
    const all = total + byHand.length;
    const after = all
      ? [el("p", {}, el("strong", {}, "Still locked: "), `${count(all, "lockout")} may refuse the same client or username.`), el("ul", { class: "still" }, rest)]
      : [el("p", {}, "Nothing else of it is locked.")];
    const closing = button("Close", close, { kind: "main" });
    open(
      dialog,
      el("div", { class: "body" }, el("h2", { id: "unlock-title" }, `Removed ${what.join(" and ")}`), after, el("div", { class: "buttons" }, closing)),
    );
    closing.focus();
  }

  return { counter, hand };
}

/** Something that locks nevertheless. */
const left = (label, action) => el("li", {}, el("span", {}, label), button("Unlock it too …", action, { kind: "small" }));

/** Clients of IPv6 are counted by a network that is called their address. */
const clientOf = (address) => (address.includes("/") ? { network: address } : { ip: address });

const given = (selector) => Object.fromEntries(Object.entries(selector).filter(([, value]) => value !== undefined && value !== null));

/** A choice; how many counters it means is found out and added. */
function option({ selector, label, note }, at, choosable) {
  const less = el("span", { class: "less" }, note ?? "counting …");
  if (!note) {
    get("v1/counters", { ...selector, limit: 1 }).then(
      ({ total }) => (less.textContent = count(total, "counter")),
      () => (less.textContent = ""),
    );
  }
  if (!choosable) return el("p", {}, label, ". ", less);
  return el("label", { class: "option" }, el("input", { type: "radio", name: "unlock-what", value: at, checked: at === 0 }), el("span", {}, label), less);
}
