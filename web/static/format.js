// How text, numbers and times are written.

const numbers = new Intl.NumberFormat("en");
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}]/u;
const EACH_HIDDEN = new RegExp(`(${HIDDEN.source})`, "u");

// An attacker's text, as nodes: what would be invisible, or turn text around, is named by its code point.
export function visible(text) {
  return text.split(EACH_HIDDEN).filter(Boolean).map((part) => {
    if (!HIDDEN.test(part)) return part;
    const code = document.createElement("span");
    code.className = "hidden-character";
    code.textContent = `U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
    return code;
  });
}

export function number(value) {
  return value === null ? "–" : numbers.format(value);
}

export function plural(count, noun) {
  return `${number(count)} ${noun}${count === 1 ? "" : "s"}`;
}

export function duration(seconds) {
  if (seconds === null) return "–";
  const units = [[86400 * 365, "years"], [86400, "days"], [3600, "h"], [60, "min"]];
  for (const [size, unit] of units) {
    if (seconds >= 2 * size) return `${number(Math.floor(seconds / size))} ${unit}`;
  }
  return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short", year: "numeric" };

// A moment in the reader's zone or in UTC; the day is left out where it is today's.
export function moment(iso, timeZone) {
  const date = new Date(iso);
  if (Number.isNaN(date.valueOf())) return iso;
  const day = date.toLocaleDateString("en-GB", { ...DAY, timeZone });
  const clock = date.toLocaleTimeString("en-GB", { ...CLOCK, timeZone });
  return day === new Date().toLocaleDateString("en-GB", { ...DAY, timeZone }) ? clock : `${day}, ${clock}`;
}

// From one moment to another; the end's day is left out where it is the start's.
export function span(start, end, timeZone) {
  const [from, to] = [moment(start, timeZone), moment(end, timeZone)];
  const [day, clock] = to.split(", ");
  return `${from} – ${clock !== undefined && from.startsWith(`${day}, `) ? clock : to}`;
}
