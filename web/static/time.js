// How moments and durations are written: in the reader's zone, UTC at hand.

import { element } from "./element.js";

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short", year: "numeric" };
const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;
const formats = new Map();

function format(date, options, timeZone) {
  const key = `${options === DAY}${timeZone}`;
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { ...options, timeZone }));
  return formats.get(key).format(date);
}

let ahead = 0;

// Kafka's clock is the one that counts: its time now, ISO-8601.
export function setClock(iso) {
  ahead = Date.parse(iso) - Date.now();
}

export const present = () => Date.now() + ahead;

// A clock time, with its day where that is not today.
export function moment(iso, timeZone) {
  const date = new Date(iso);
  if (Number.isNaN(date.valueOf())) return iso;
  const [day, clock] = [format(date, DAY, timeZone), format(date, CLOCK, timeZone)];
  return day === format(new Date(present()), DAY, timeZone) ? clock : `${day}, ${clock}`;
}

// Clock time to the minute, for an axis; `time` in milliseconds.
export const minute = (time) => format(new Date(time), CLOCK).slice(0, 5);

export function duration(seconds) {
  if (seconds === null) return "–";
  for (const [size, unit] of [
    [86400 * 365, "years"],
    [86400, "days"],
    [3600, "h"],
    [60, "min"],
  ]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size).toLocaleString("en")} ${unit}`;
  }
  return `${seconds.toFixed(seconds < 10 && seconds % 1 ? 1 : 0)} s`;
}

export function ago(iso) {
  const seconds = (present() - Date.parse(iso)) / 1000;
  return seconds < 5 ? "just now" : `${duration(Math.floor(seconds))} ago`;
}

function exactly(iso) {
  const date = new Date(iso);
  const write = (timeZone) => `${format(date, DAY, timeZone)}, ${format(date, CLOCK, timeZone)}`;
  return Number.isNaN(date.valueOf()) ? iso : `${write()} ${ZONE}\n${write("UTC")} UTC`;
}

// The clock time of a moment.
export const at = (iso) => element("time", { dateTime: iso, title: exactly(iso) }, moment(iso));

// How long ago a moment is; goes on by itself.
export const since = (iso) => element("time", { dateTime: iso, title: exactly(iso), className: "since" }, ago(iso));

// From one moment to another; the end's day is left out where it is the start's.
export function span(start, end, timeZone) {
  const [from, to] = [moment(start, timeZone), moment(end, timeZone)];
  const [day, clock] = to.split(", ");
  return `${from} – ${clock !== undefined && from.startsWith(`${day}, `) ? clock : to}`;
}

setInterval(() => {
  for (const time of document.querySelectorAll("time.since")) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}, 1000);
