// The dialog that locks by hand: whom, where, for how long, and why.

import { post } from "./api.js";
import { announce, button, byId, el } from "./dom.js";
import { open } from "./unlock.js";

const KINDS = [["username", "Username"], ["ip", "Address"], ["network", "Network"]];
const TIMES = [[900, "15 minutes"], [3600, "1 hour"], [86400, "1 day"], [604800, "1 week"], ["", "Until unlocked"]];

/** The dialog; `sites` tells the names of the sites, `done` is called when somebody is locked. */
export function locking(sites, done) {
  const dialog = byId("lock");
  return (kind = "username", value = "") => {
    const options = (pairs, chosen) => pairs.map(([own, label]) => el("option", { value: own, selected: own === chosen }, label));
    const fields = {
      kind: el("select", { id: "lock-kind" }, options(KINDS, kind)),
      value: el("input", { id: "lock-value", type: "text", required: true, autocomplete: "off", autocapitalize: "off", spellcheck: "false" }),
      site: el("select", { id: "lock-site" }, options([["", "Every site"], ...sites().map((name) => [name, name])], "")),
      time: el("select", { id: "lock-time" }, options(TIMES, 3600)),
      reason: el("input", { id: "lock-reason", type: "text", maxlength: 200, autocomplete: "off" }),
    };
    fields.value.value = value;
    const wrong = el("p", { class: "wrong", role: "alert" });
    const confirm = el("button", { type: "submit", class: "main" }, "Lock");
    const form = el(
      "form",
      { method: "dialog" },
      el("h2", { id: "lock-title" }, "Lock by hand"),
      el("div", { class: "row" }, pair("What", fields.kind), pair("Which", fields.value)),
      pair("Where", fields.site),
      pair("For how long", fields.time),
      pair("Reason, for whoever looks later", fields.reason),
      el("p", { class: "muted" }, "Logins are refused from now on, right passwords too. Whoever is signed in stays so."),
      wrong,
      el("div", { class: "buttons" }, button("Cancel", () => dialog.close()), confirm),
    );
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      confirm.disabled = true;
      const wanted = {
        [fields.kind.value]: fields.value.value.trim(),
        site: fields.site.value || undefined,
        for_s: fields.time.value ? Number(fields.time.value) : null,
        reason: fields.reason.value.trim() || undefined,
      };
      try {
        await post("v1/lock", wanted);
        dialog.close();
        announce(`${fields.value.value.trim()} is locked.`);
        done();
      } catch (error) {
        wrong.textContent = error.message;
        confirm.disabled = false;
      }
    });
    open(dialog, form);
    fields.value.focus();
  };
}

const pair = (label, field) => el("div", { class: "pair" }, el("label", { for: field.id }, label), field);
