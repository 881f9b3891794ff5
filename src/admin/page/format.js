// Numbers, times and durations as people read them, in the zone of whoever looks.

const NUMBER = new Intl.NumberFormat("en");
const CLOCK = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECONDS = new Intl.DateTimeFormat("en", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** `12,345`. */
export const number = (value) => NUMBER.format(value ?? 0);

/** `1 counter`, `2 counters`. */
export const count = (value, one, many = `${one}s`) => `${number(value)} ${value === 1 ? one : many}`;

/** The time of day, with the day where it is another: `14:05`, `28 Nov, 14:05`. */
export function clock(millis, now = Date.now()) {
  const date = new Date(millis);
  const time = CLOCK.format(date);
  return date.toDateString() === new Date(now).toDateString() ? time : `${DAY.format(date)}, ${time}`;
}

/** The time of day with seconds. */
export const second = (millis) => SECONDS.format(new Date(millis));

/** The time of day alone. */
export const hour = (millis) => CLOCK.format(new Date(millis));

const two = (value) => String(value).padStart(2, "0");

/** How long: `45 s`, `9 min 05 s`, `3 h 12 min`, `2 d 4 h`. */
export function duration(seconds) {
  const s = Math.max(0, Math.ceil(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${number(Math.floor(s / 86400))} d ${Math.floor((s % 86400) / 3600)} h`;
}

/** How long, roughly: `45 s`, `9 min`, `3 h 12 min`. */
export function about(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return count(s, "second");
  if (s < 3600) return count(Math.floor(s / 60), "minute");
  return duration(s);
}

const PARAMETERS = { username: "username", ip_address: "address", ip_network: "network", user_agent: "user agent" };

/** A parameter of a limit in a word. */
export const parameter = (name) => PARAMETERS[name] ?? name;

/** Whom a counter is about: `alice from 203.0.113.9`. */
export function whom(parameters = {}) {
  const { username, ip_address: address, ip_network: network, user_agent: agent } = parameters;
  const parts = [];
  if (username !== undefined) parts.push(username);
  if (address !== undefined) parts.push(parts.length ? `from ${address}` : address);
  if (network !== undefined) parts.push(parts.length ? `from ${network}` : network);
  if (agent !== undefined) parts.push(parts.length ? `with ${agent}` : agent);
  return parts.join(" ") || "everybody";
}

/** The zone that times are shown in: `Europe/Berlin, GMT+1`. */
export function zone(now = Date.now()) {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" }).formatToParts(new Date(now));
  const offset = parts.find((part) => part.type === "timeZoneName")?.value ?? "";
  return `${Intl.DateTimeFormat().resolvedOptions().timeZone}, ${offset}`;
}

/** Milliseconds since 1970 of a time that the guard names: seconds, or a date. */
export function millis(time) {
  if (time === null || time === undefined) return undefined;
  const value = typeof time === "number" ? time * 1000 : Date.parse(time);
  return Number.isNaN(value) ? undefined : value;
}
