// How numbers, ids and rules are written.

import { element } from "./element.js";

const numbers = new Intl.NumberFormat("en");
const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 4 });
// What cannot be seen, or turns text around: controls, formats, fillers, odd spaces, spaces at the ends.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cn}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u115f\u1160\u2800\u3164\uffa0]|(?! )\p{Zs}|^ | $/u;
const EACH_HIDDEN = new RegExp(`(${HIDDEN.source})`, "u");

// Foreign text as nodes, with what is hidden in it named by its code point.
export function visible(text) {
  return text
    .split(EACH_HIDDEN)
    .filter(Boolean)
    .map((part) => {
      if (!HIDDEN.test(part)) return part;
      const code = part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0");
      return element("span", { className: "hidden-character" }, `U+${code}`);
    });
}

export const userId = (id) => element("bdi", { className: "user", title: id }, ...visible(id));

export const userLink = (id) => element("a", { href: `/user?${new URLSearchParams({ id })}` }, userId(id));

// The rule of a pipeline's records is pipeline/NAME, of those that a challenger alarms pipeline/NAME/VERSION.
export const ruleLink = (name) => {
  const [kind, pipeline] = name.split("/");
  return element("a", { href: kind === "pipeline" ? `/pipelines#pipeline-${pipeline}` : `/rules#${name}` }, name);
};

// To the page of a pipeline's record, by its anomaly.
export const recordLink = (id, ...children) =>
  element("a", { href: `/record?${new URLSearchParams({ id })}` }, ...children);

export const number = (value) => (value === null ? "–" : numbers.format(value));

export const rate = (value) =>
  value === null ? "–" : number(value < 10 ? Math.round(value * 10) / 10 : Math.round(value));

export const plural = (count, noun, nouns = `${noun}s`) => `${number(count)} ${count === 1 ? noun : nouns}`;

// What a rule counts: clicks, or different values of a field.
export const unit = (distinct) => (distinct ? `different values of ${distinct}` : "clicks");

export const amount = (count, distinct) =>
  distinct ? `${plural(count, "different value")} of ${distinct}` : plural(count, "click");

// A score, or what a feature is: as many digits as tell.
export function figure(value) {
  if (value === null) return "missing";
  return Math.abs(value) < 1000 ? digits.format(value) : number(Math.round(value));
}

export const category = (name) => name.replaceAll("_", " ");

// "between 56 and 80", or the one number where they are the same.
export const range = (low, high) => (low === high ? `exactly ${number(high)}` : `${number(low)}–${number(high)}`);

// How far above its threshold, or what part of it, a count is.
export function multiple(count, threshold) {
  const times = count / threshold;
  if (times < 1) return `${Math.floor(100 * times)} %`;
  return `${number(times < 10 ? Math.floor(10 * times) / 10 : Math.floor(times))}×`;
}

// What the interval says of the question whether somebody is over the threshold.
export function certainty(low, high, threshold) {
  if (low > threshold) return "certain";
  return high > threshold ? "likely" : "below";
}

export const sum = (values) => values.reduce((total, value) => total + value, 0);
