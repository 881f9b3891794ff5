// Columns over time, stacked, with an optional line above them: as a picture, and as a table for
// those who do not see it.

import { el, replace, svg, table } from "./dom.js";
import { hour, number } from "./format.js";
import { ticks, times } from "./scale.js";

const HEIGHT = 176;
const MARGIN = { top: 10, right: 2, bottom: 22 };

/**
 * A chart in `host`. What it returns shows a model: `{total, unit, note, start, bucket, since,
 * series}`; a series is `{label, short, color, values}`, and `line: true` draws it as a line. Times are
 * milliseconds since 1970.
 */
export function chart(host, { id, title }) {
  const total = el("p", { class: "total" });
  const legend = el("ul", { class: "legend" });
  const picture = svg("svg", { role: "img", "aria-labelledby": `${id}-title ${id}-desc` });
  const pointed = el("p", { class: "pointed-at", "aria-hidden": "true" });
  const scroll = el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title}, as a table` });
  const details = el("details", {}, el("summary", {}, "As a table", el("span", { class: "hidden" }, `: ${title}`)), scroll);
  host.replaceChildren(el("h3", {}, title), total, picture, pointed, legend, details);
  let model;
  let geometry;

  const draw = () => {
    if (!model) return;
    geometry = paint(picture, model, { id, title, width: host.clientWidth });
    if (details.open) replace(scroll, values(title, model));
  };
  new ResizeObserver(draw).observe(host);
  details.addEventListener("toggle", draw);

  const point = (event) => {
    const at = geometry?.column(event.clientX - picture.getBoundingClientRect().left);
    geometry?.mark(at);
    pointed.textContent = at === undefined ? "" : spoken(model, at);
  };
  picture.addEventListener("pointermove", point);
  picture.addEventListener("pointerdown", point);
  picture.addEventListener("pointerleave", () => {
    geometry?.mark(undefined);
    pointed.textContent = "";
  });

  return (next) => {
    model = next;
    total.replaceChildren(number(model.total), " ", el("small", {}, model.note));
    legend.replaceChildren(...model.series.map(entry));
    draw();
  };
}

function swatch(series) {
  const shape = series.line
    ? svg("path", { class: "line", d: "M0 6H12" })
    : svg("rect", { class: series.color, x: 1, y: 1, width: 10, height: 10, rx: 1.5 });
  return svg("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" }, shape);
}

function entry(series) {
  const shown = series.line ? series.values[series.values.length - 1] ?? 0 : series.whole ?? sum(series.values);
  return el("li", {}, swatch(series), series.label, " ", el("b", {}, number(shown)));
}

const sum = (values) => values.reduce((all, one) => all + one, 0);

const stacked = (model) => model.series.filter((series) => !series.line);

/** What there is at most: of the stacks and of the lines. */
function highest(model) {
  const columns = model.series[0].values.length;
  let most = 0;
  for (let at = 0; at < columns; at += 1) {
    most = Math.max(most, sum(stacked(model).map((series) => series.values[at])));
  }
  return Math.max(most, ...model.series.filter((series) => series.line).flatMap((series) => series.values));
}

function paint(picture, model, { id, title, width }) {
  const columns = model.series[0].values.length;
  const marks = ticks(highest(model));
  const top = marks[marks.length - 1];
  const left = 8 + 7 * number(top).length;
  const [w, h] = [Math.max(120, width) - left - MARGIN.right, HEIGHT - MARGIN.top - MARGIN.bottom];
  const end = model.start + columns * model.bucket;
  const x = (time) => left + ((time - model.start) / (end - model.start)) * w;
  const y = (value) => MARGIN.top + h - (value / top) * h;
  const floor = y(0);
  picture.setAttribute("viewBox", `0 0 ${Math.max(120, width)} ${HEIGHT}`);
  const mark = svg("rect", { class: "pointed", y: MARGIN.top, height: h, width: 0, x: left });
  picture.replaceChildren(
    svg("title", { id: `${id}-title` }, title),
    svg("desc", { id: `${id}-desc` }, described(model)),
    ...before(model, x, { left, h, floor }),
    ...marks.map((value) => svg("line", { class: value ? "grid" : "axis", x1: left, x2: left + w, y1: y(value), y2: y(value) })),
    ...marks.map((value) => svg("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value))),
    mark,
    ...nothing(model, left + w / 2, MARGIN.top + h / 2),
    ...bars(model, x, y),
    ...model.series.filter((series) => series.line).map((series) => trace(series, model, x, y)),
    ...moments(model.start, end, w).flatMap((time) => [
      svg("line", { class: "axis", x1: x(time), x2: x(time), y1: floor, y2: floor + 4 }),
      svg("text", { x: x(time), y: HEIGHT - 4, "text-anchor": "middle" }, hour(time)),
    ]),
  );
  return {
    column: (px) => {
      const at = Math.floor(((px - left) / w) * columns);
      return at >= 0 && at < columns ? at : undefined;
    },
    mark: (at) => {
      mark.setAttribute("width", at === undefined ? 0 : w / columns);
      if (at !== undefined) mark.setAttribute("x", x(model.start + at * model.bucket));
    },
  };
}

/** Those times whose text has room at both ends. */
function moments(start, end, width) {
  const room = (18 / width) * (end - start);
  return times(start, end, width, 56).filter((time) => time - start > room && end - time > room);
}

/** The time before the guard ran, of which nothing is known. */
function before(model, x, { left, h, floor }) {
  const width = Math.max(0, x(Math.min(model.since ?? 0, model.start + model.series[0].values.length * model.bucket)) - left);
  if (width < 4) return [];
  const shade = svg("rect", { class: "unknown", x: left, y: MARGIN.top, width, height: h });
  if (width < 110) return [shade];
  return [shade, svg("text", { x: left + 8, y: floor - 8 }, "not running yet")];
}

/** Words where there is no column. */
function nothing(model, x, y) {
  return highest(model) ? [] : [svg("text", { x, y, "text-anchor": "middle" }, "none in this time")];
}

function bars(model, x, y) {
  const columns = model.series[0].values.length;
  const shapes = [];
  for (let at = 0; at < columns; at += 1) {
    const from = x(model.start + at * model.bucket);
    const width = x(model.start + (at + 1) * model.bucket) - from;
    const gap = Math.min(1.5, width * 0.2);
    let level = 0;
    for (const series of stacked(model)) {
      const value = series.values[at];
      if (!value) continue;
      const height = y(level) - y(level + value);
      shapes.push(svg("rect", { class: series.color, x: from + gap / 2, width: width - gap, y: y(level + value), height: Math.max(height, 1) }));
      level += value;
    }
  }
  return shapes;
}

function trace(series, model, x, y) {
  const steps = series.values.map((value, at) => {
    const from = model.start + at * model.bucket;
    if (from + model.bucket <= (model.since ?? 0)) return undefined;
    return `${x(from).toFixed(1)} ${y(value).toFixed(1)}H${x(from + model.bucket).toFixed(1)}`;
  });
  return svg("path", { class: "line", d: `M${steps.filter(Boolean).join("L")}` });
}

/** What one column stands for, in words. */
function spoken(model, at) {
  const from = model.start + at * model.bucket;
  const parts = model.series.filter((series) => series.values[at]).map((series) => `${number(series.values[at])} ${series.short ?? series.label}`);
  return `${hour(from)}–${hour(from + model.bucket)}: ${parts.join(", ") || "nothing"}`;
}

/** The whole picture, in words. */
function described(model) {
  const parts = model.series.map((series) => {
    const shown = series.line ? Math.max(0, ...series.values) : sum(series.values);
    return `${number(shown)} ${series.short ?? series.label}${series.line ? " at most" : ""}`;
  });
  const from = hour(model.start);
  const until = hour(model.start + model.series[0].values.length * model.bucket);
  return `From ${from} to ${until}: ${parts.join(", ")}.`;
}

function values(title, model) {
  const rows = [];
  for (let at = model.series[0].values.length - 1; at >= 0; at -= 1) {
    const from = model.start + at * model.bucket;
    if (from + model.bucket <= (model.since ?? 0)) break;
    rows.push([hour(from), ...model.series.map((series) => number(series.values[at]))]);
  }
  const columns = [{ label: "From", kind: "whole" }, ...model.series.map((series) => ({ label: series.column ?? series.label, kind: "number" }))];
  return table({ caption: title, columns, rows, kind: "plain" });
}
