// One incident as the cells of a row: who, how many against the threshold, the last windows, since when.

import { element } from "./element.js";
import { interval, scale, spark } from "./picture.js";
import {
  category,
  figure,
  multiple,
  number,
  plural,
  range,
  recordLink,
  ruleLink,
  unit,
  userLink,
  visible,
} from "./text.js";
import { at, duration, since } from "./time.js";

export const cell = (className, ...children) => element("div", { className }, ...children);
const small = (...children) => element("small", {}, ...children);

// Number, interval and picture; what is counted is said where it is not clicks.
export function count(low, high, threshold, distinct) {
  return [
    cell(
      "count",
      element("strong", { className: "number" }, number(high)),
      small(low === high ? "exact" : range(low, high), `, ${multiple(high, threshold)} of ${number(threshold)}`),
      ...(distinct ? [small(...visible(unit(distinct)))] : []),
    ),
    cell("chart", interval(low, high, threshold, distinct)),
  ];
}

// Of a pipeline's record: score, threshold, how rare that is, and where all of it stands.
export const score = ({ alert_id, scored }) => [
  cell(
    "count",
    element("strong", { className: "number" }, figure(scored.score)),
    small(`threshold ${figure(scored.threshold)}, p ${figure(scored.p_value)}`),
  ),
  cell("chart", recordLink(alert_id, "Why this record")),
];

// Of a pipeline's incident: how many of its records.
const records = ({ incident_id, count }) => [
  cell("count", element("strong", { className: "number" }, number(count)), small(count === 1 ? "record" : "records")),
  cell("chart", recordLink(incident_id, count === 1 ? "Why this record" : "Why the first record")),
];

// Of a day of a pipeline: how many features are no longer what was learnt.
export const drift = ({ features, records }) => [
  cell(
    "count",
    element("strong", { className: "number" }, number(features.length)),
    small(`${features.length === 1 ? "feature" : "features"} drifted, of ${plural(records, "record")}`),
  ),
  cell("chart"),
];

// Category and OWASP automated threat, where there is one.
export const threat = (each) =>
  each.owasp ? `${category(each.category)}, ${each.owasp} ${each.owasp_label ?? ""}`.trim() : category(each.category);

export const status = (record) =>
  element("span", { className: `status ${isAside(record) ? "aside-from" : record.status}` }, record.status);

// What nobody is told of, in words and with a shape of its own.
export const isAside = (record) => Boolean(record.shadow || record.allowed || isDrift(record));

// That a pipeline's records are no longer what its model knows: told, and no attack.
const isDrift = (record) => record.category === "drift";

export const marks = (record) => [
  ...(isDrift(record) ? [element("span", { className: "aside" }, "drift")] : []),
  ...(record.shadow ? [element("span", { className: "aside" }, "shadow")] : []),
  ...(record.allowed ? [element("span", { className: "aside" }, "allowed: ", ...visible(record.allowed))] : []),
  ...(record.muted ? [element("span", { className: "aside" }, record.muted)] : []), // human, or snoozed
];

const STATUSES = ["ongoing", "closed", "corrected"];

// Of two records of one anomaly the one that ranks higher holds; no revision outweighs a status.
export const rank = (record) => STATUSES.indexOf(record.status) * 2 ** 32 + (record.revision ?? 0);

// An ongoing record is of the moment its threshold, or so many times that, was crossed; the window's count goes on.
export const crossing = (record) => {
  if (record.status !== "ongoing") return "";
  return record.revision ? `at ${record.times} times the threshold` : "when it was crossed";
};

// Where a record's figures come from, if not from a window that was open a moment ago.
export const origin = (record) =>
  record.status === "corrected" ? "with late clicks" : record.caught_up ? "from a backlog" : "";

// What an incident may count without being one: its windows' thresholds together.
export const allowed = (each) => each.threshold * each.windows;

export function incident(each) {
  const ongoing = each.status === "ongoing";
  const lasted = (Date.parse(each.until) - Date.parse(each.since)) / 1000;
  return [
    cell("who", userLink(each.user_id), small("rule ", ruleLink(each.rule), ` · ${threat(each)}`), ...marks(each)),
    ...(each.pipeline ? records(each) : count(each.count_low, each.count_high, allowed(each), each.distinct)),
    cell("sparkline", ...(each.pipeline ? [] : [spark(each.spark, each.threshold, each.distinct)])),
    cell(
      "times",
      at(each.since),
      " ",
      small(ongoing ? since(each.since) : `for ${duration(lasted)}`),
      ...(ongoing ? [small("last click ", since(each.last_seen))] : []),
      small(
        status(each),
        `, ${plural(each.windows, "window")}`,
        each.corrected ? ", corrected" : "",
        each.caught_up ? ", from a backlog" : "",
        `, ${each.severity} severity`,
        each.rules.length ? `, also rule ${each.rules.join(", ")}` : "",
      ),
    ),
  ];
}

// What stands over the columns.
export const head = (...labels) => labels.map((label) => cell("", label === "scale" ? scale() : label));
