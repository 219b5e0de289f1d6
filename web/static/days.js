// The days of a pipeline's records, held against what its model has learnt.

import { element } from "./element.js";
import { number, plural } from "./text.js";

const small = (...children) => element("small", {}, ...children);
const percent = (share) => `${(100 * share).toPrecision(2)} %`;

// Above its limit a feature is no longer what was learnt.
const far = ({ feature, shift, missing, limit }) => {
  const [most, what] = missing > shift ? [missing, "missing"] : [shift, "values"];
  const words = [element("code", {}, feature), ` ${most.toFixed(2)}, limit ${limit.toFixed(2)} (${what})`];
  return element("li", {}, ...(most > limit ? [element("strong", {}, ...words)] : words));
};

function verdict({ partitions, drifted }) {
  if (!drifted) return [element("span", { className: "status closed" }, "as learnt")];
  const where = partitions > 1 ? small(`in ${number(drifted)} of ${plural(partitions, "partition")}`) : "";
  return [element("span", { className: "warning" }, "drifted"), where];
}

const row = (day) =>
  element(
    "tr",
    {},
    element("th", { scope: "row" }, day.day),
    element("td", {}, ...verdict(day)),
    element("td", { className: "number" }, number(day.records)),
    element(
      "td",
      { className: "number" },
      number(day.alarms),
      ...(day.budget === null ? [] : [small(`of ${number(Math.round(day.budget))} expected`)]),
    ),
    element("td", { className: "number" }, percent(day.unseen)),
    element("td", {}, element("ul", { className: "far" }, ...day.features.map(far))),
  );

const NUMBERS = ["Records", "Alarms", "Unseen words"];

export const days = ({ pipeline, days: those }) =>
  element(
    "div",
    { className: "scrolls", role: "region", ariaLabel: `Days of ${pipeline}`, tabIndex: 0 },
    element(
      "table",
      { className: "models" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...["Day", "Records are", ...NUMBERS, "Farthest from what was learnt"].map((name) =>
            element("th", { scope: "col", className: NUMBERS.includes(name) ? "number" : "" }, name),
          ),
        ),
      ),
      element("tbody", {}, ...those.map(row)),
    ),
  );
