// Elements are made here alone, and whatever text they get becomes text: nothing of this page is
// ever parsed as HTML, so that a username cannot be markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    } else if (name === "text") {
      element.textContent = String(value);
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== null));
  return element;
}

/** An element of HTML; children are elements or texts. */
export function el(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

/** An element of SVG. */
export function svg(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

/** The element of that id. */
export const byId = (id) => document.getElementById(id);

/**
 * Puts other children into `host`. Whoever had the focus there has it afterwards too, if there is
 * an element with the same `data-focus`; otherwise `host` gets it, so that nobody is thrown out.
 */
export function replace(host, ...children) {
  const active = document.activeElement;
  const inside = active && active !== host && host.contains(active);
  const key = inside ? active.dataset.focus : undefined;
  host.replaceChildren(...children.flat().filter(Boolean));
  if (!inside) return;
  const same = key && [...host.querySelectorAll("[data-focus]")].find((one) => one.dataset.focus === key);
  if (same) {
    same.focus({ preventScroll: true });
  } else {
    host.tabIndex = -1;
    host.focus({ preventScroll: true });
  }
}

/**
 * A table of that kind. Columns are `{label, kind}`, kind `number`, `whole` (one line) or `act`; a row is a list
 * of cells, each a text, an element or a list of them. The first cell of a row is its header. The roles are written
 * out because narrow screens show rows of `cards` as cards, which are no table any more to a browser.
 */
export function table({ caption, shown, columns, rows, kind = "cards" }) {
  const header = (column) =>
    el("th", { scope: "col", role: "columnheader", class: column.kind }, column.label ?? "");
  const cell = (content, at) => {
    const { label, kind } = columns[at];
    const children = [content].flat().filter((child) => child !== undefined && child !== "");
    if (at === 0) return el("th", { scope: "row", role: "rowheader", class: kind }, children);
    const shownLabel = kind === "act" ? undefined : label;
    return el("td", { role: "cell", class: kind, "data-label": shownLabel }, ...(children.length ? [el("span", {}, children)] : []));
  };
  return el(
    "table",
    { role: "table", class: kind },
    el("caption", { class: shown ? undefined : "hidden" }, caption),
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, columns.map(header))),
    el("tbody", { role: "rowgroup" }, rows.map((row) => el("tr", { role: "row" }, row.map(cell)))),
  );
}

/** A button that does something. `focus` names it across changes of what is around it. */
export function button(label, action, { kind, focus, named } = {}) {
  const properties = { type: "button", class: kind, "data-focus": focus, "aria-label": named };
  return el("button", { ...properties, on: { click: action } }, label);
}

/** Says something to those who listen, once they have heard the rest. */
export function announce(text) {
  const said = byId("said");
  // what is added is read out, so that one thing does not talk over another
  said.append(el("p", {}, text));
  while (said.children.length > 5) said.firstElementChild.remove();
}

/** Calls `show` only where `data` differs from what it was called with before. */
export function onChange(show) {
  let before;
  return (data, ...rest) => {
    const now = JSON.stringify(data);
    if (now === before) return;
    before = now;
    show(data, ...rest);
  };
}
