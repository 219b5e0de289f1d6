// The small pictures: an interval against its threshold, the counts of the last windows, a share.

import { element, svg } from "./element.js";
import { amount, certainty, multiple, number, plural, range, unit, visible } from "./text.js";

// From half to 300 times the threshold, on a logarithmic scale: the same in every row, so that rows compare.
const DECADES = [-0.3, 2.48];
const place = (ratio) => {
  const [low, high] = DECADES;
  return 100 * Math.min(1, Math.max(0, (Math.log10(Math.max(ratio, 1e-9)) - low) / (high - low)));
};
const percent = (value) => `${value.toFixed(2)}%`;

function line(x1, x2, y1, y2, className) {
  return svg("line", { x1: percent(x1), x2: percent(x2), y1, y2, class: className });
}

const picture = (className, label, ...children) =>
  svg("svg", { class: `picture ${className}`, role: "img", "aria-label": label }, ...children);

// The interval that holds the count, beside the threshold: filled where it lies above, hollow where it does not.
export function interval(low, high, threshold, distinct) {
  const sure = certainty(low, high, threshold);
  const to = place(high / threshold);
  const from = Math.min(place(low / threshold), to - 1.5);
  const over = Math.min(to, Math.max(from, place(1)));
  const band = (start, end, name) =>
    svg("rect", { x: percent(start), width: percent(end - start), y: 5.5, height: 9, class: name });
  return picture(
    `interval ${sure}`,
    `${range(low, high)} ${unit(distinct)}, threshold ${number(threshold)}: ${sure}`,
    line(0, 100, 10, 10, "rail"),
    ...[10, 100].map((times) => line(place(times), place(times), 7, 13, "rail")),
    line(place(1), Math.max(from, place(1)), 10, 10, "excess"),
    ...(from < over ? [band(from, over, "band hollow")] : []),
    ...(over < to ? [band(over, to, "band")] : []),
    line(place(1), place(1), 1, 19, "threshold"),
  );
}

// What the places of `interval` mean, for the head of a column.
export function scale() {
  const label = (times, text) => svg("text", { x: percent(place(times)), y: 11, "text-anchor": "middle" }, text);
  return svg(
    "svg",
    { class: "picture scale", "aria-hidden": "true" },
    label(1, "limit"),
    label(10, "10×"),
    label(100, "100×"),
  );
}

// A value beside what is usual: the band is the middle 90 %, the line in it the median, the diamond the value.
export function beside(value, [low, median, high], label) {
  const known = [low, high, value].filter((each) => each !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const at = (each) => (most > least ? 4 + (92 * (each - least)) / (most - least) : 50);
  const width = Math.max(1.5, at(high) - at(low));
  const from = Math.min(at(low), 98.5 - width);
  const outside = value !== null && (value < low || value > high);
  return picture(
    `beside ${outside ? "outside" : "inside"}`,
    label,
    line(0, 100, 10, 10, "rail"),
    svg("rect", { x: percent(from), width: percent(width), y: 6, height: 8, class: "usual" }),
    line(at(median), at(median), 3, 17, "threshold"),
    ...(value === null
      ? []
      : [
          svg(
            "svg",
            { x: percent(at(value)), y: 10, overflow: "visible" },
            svg("path", { d: "M0 -7 6 0 0 7 -6 0Z", class: "value" }),
          ),
        ]),
  );
}

// What was counted in the last windows, one bar each, the newest at the right.
export function spark(counts, threshold, distinct) {
  const [width, height] = [90, 22];
  const bars = counts.slice(-30);
  const step = Math.min(9, Math.floor(width / bars.length));
  const top = Math.max(...bars, threshold, 1);
  const y = height - (height * threshold) / top;
  return picture(
    "spark",
    `${distinct ? `Different values of ${distinct}` : "Clicks"} by window: ${bars.map(number).join(", ")}`,
    ...bars.map((count, index) =>
      svg("rect", {
        x: width - step * (bars.length - index),
        width: step - 1,
        y: height - (height * count) / top,
        height: (height * count) / top,
        class: "bar",
      }),
    ),
    svg("line", { x1: 0, x2: width, y1: y, y2: y, class: "threshold" }),
  );
}

// What part of the threshold somebody has reached; the line is the threshold.
export const share = (count, threshold, distinct) =>
  reaching(
    count,
    threshold,
    `${amount(count, distinct)}, ${multiple(count, threshold)} of the threshold ${number(threshold)}`,
  );

// What part of its alarms a day a pipeline has had; the line is the budget.
export const spent = (count, budget) =>
  reaching(count, budget, `${plural(count, "alarm")}, ${multiple(count, budget)} of the budget ${number(budget)}`);

function reaching(count, limit, label) {
  const end = 125;
  const reached = Math.min(end, (100 * count) / limit);
  return picture(
    `share ${count > limit ? "certain" : "below"}`,
    label,
    line(0, 100, 10, 10, "rail"),
    svg("rect", { x: 0, width: percent((100 * reached) / end), y: 7, height: 6, class: "band" }),
    line(10000 / end, 10000 / end, 1, 19, "threshold"),
  );
}

// A heading's mark: the state as a shape, for who does not see the colour.
export function lamp(state) {
  const shapes = {
    quiet: [svg("circle", { cx: 24, cy: 24, r: 19 }), svg("path", { d: "m15 24.5 6.5 6.5L34 18" })],
    attack: [svg("path", { d: "M24 3 45 24 24 45 3 24Z" }), svg("path", { d: "M24 13v14M24 33v2.5" })],
    unknown: [
      svg("circle", { cx: 24, cy: 24, r: 19 }),
      svg("path", { d: "M18.5 19a5.5 5.5 0 1 1 8.5 4.6c-2 1.3-3 2.3-3 4.9M24 33v2.5" }),
    ],
    blind: [
      svg("path", { d: "M3 24S10.5 11 24 11 45 24 45 24 37.5 37 24 37 3 24 3 24Z" }),
      svg("circle", { cx: 24, cy: 24, r: 6 }),
      svg("path", { d: "M9 41 39 7" }),
    ],
  };
  return svg("svg", { class: `lamp ${state}`, viewBox: "0 0 48 48", "aria-hidden": "true" }, ...shapes[state]);
}

// A list of parts of a whole, as bars with their numbers.
export function parts(counts) {
  const most = Math.max(...Object.values(counts));
  return element(
    "ul",
    { className: "parts" },
    ...Object.entries(counts).map(([name, count]) =>
      element(
        "li",
        {},
        element("bdi", {}, ...visible(name)),
        element("span", { className: "number" }, number(count)),
        svg(
          "svg",
          { class: "picture part", "aria-hidden": "true" },
          svg("rect", { width: percent((100 * count) / most), height: 6, class: "bar" }),
        ),
      ),
    ),
  );
}
