// Search: by reference, address, network or username.

import { get } from "./api.js";
import { button, byId, el, replace } from "./dom.js";
import { counterTable } from "./counters.js";
import { count, number } from "./format.js";
import { handTable } from "./locked.js";
import { story } from "./story.js";

/** What a refused client has on its screen. */
const REFERENCE = /^[0-9A-TV-Z]{8}$/i;
/** Without the pauses of whoever read it aloud. */
const spoken = (text) => text.replace(/[\s\u2010-\u2015-]/g, "");

const ADDRESS = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)$/i;
const NETWORK = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:.]*)\/\d{1,3}$/i;

/** What a text may be, the likeliest first. */
export function kindsOf(text) {
  if (NETWORK.test(text)) return ["network"];
  if (ADDRESS.test(text)) return ["ip"];
  return REFERENCE.test(spoken(text)) ? ["ref", "username"] : ["username"];
}

/** The section; `dialogs` are what its buttons open. */
export function searching(dialogs) {
  const [form, what, kind, found] = ["search", "what", "kind", "found"].map(byId);
  let latest;

  async function run() {
    const text = what.value.trim();
    latest = undefined;
    if (!text) {
      replace(found);
      return;
    }
    const kinds = kind.value === "any" ? kindsOf(text) : [kind.value];
    const mine = {};
    latest = mine;
    try {
      const parts = await find(kinds, text, dialogs);
      if (latest === mine) replace(found, parts);
    } catch (error) {
      if (latest === mine) replace(found, el("p", { class: "wrong" }, error.message));
    }
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    run();
  });
  /** Searches for something that stands elsewhere on the page. */
  const search = (own, value) => {
    kind.value = own;
    what.value = value;
    found.scrollIntoView({ block: "center" });
    return run().then(() => found.focus({ preventScroll: true }));
  };
  return { search, again: () => (latest ? run() : undefined) };
}

async function find(kinds, text, dialogs) {
  for (const kind of kinds) {
    const parts = kind === "ref" ? await story(spoken(text), dialogs) : await counters(kind, text, dialogs);
    if (parts) return parts;
  }
  return [el("p", { class: "empty" }, `Nothing is counted or locked for ${text}.`), offer(kinds[kinds.length - 1], text, dialogs)];
}

function offer(kind, text, dialogs) {
  if (kind === "ref") return undefined;
  return el("p", { class: "more" }, button("Lock it by hand …", () => dialogs.lock(kind, text), { focus: "offer" }));
}

/** What is counted of somebody, and what locks by hand; nothing, where there is neither. */
async function counters(kind, text, dialogs) {
  const wanted = { [kind]: text };
  const [{ counters: all, total }, { locks }] = await Promise.all([
    get("v1/counters", { ...wanted, sort: "remaining", order: "desc", limit: 50 }),
    get("v1/locks", wanted),
  ]);
  if (!all.length && !locks.length) return undefined;
  const parts = [];
  if (locks.length) parts.push(handTable(locks.map(({ what, ...lock }) => ({ ...what, ...lock })), dialogs.hand));
  if (all.length) parts.push(counterTable(all, { caption: `${count(total, "counter")} of ${text}`, shown: true, unlock: dialogs.unlock }));
  if (total > all.length) parts.push(el("p", { class: "muted" }, `${number(total - all.length)} more are not shown.`));
  parts.push(offer(kind, text, dialogs));
  return parts;
}
