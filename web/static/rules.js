// What is being watched, how often it fired, and how close the busiest come.

import { poll } from "./connection.js";
import { byId, element, Rows, write } from "./element.js";
import { threat } from "./incident.js";
import { share } from "./picture.js";
import { multiple, number, plural, userLink } from "./text.js";
import { moment } from "./time.js";

const closest = (each) =>
  element(
    "li",
    {},
    userLink(each.user_id),
    share(each.count_high, each.threshold),
    element(
      "span",
      { className: "number" },
      `${multiple(each.count_high, each.threshold)}`,
      element("small", {}, ` ${number(each.count_high)} of ${number(each.threshold)}`),
    ),
  );

const rules = new Rows(byId("rules"), "li", "name", (rule) => [
  element("h2", {}, `${rule.words.charAt(0).toUpperCase()}${rule.words.slice(1)}`),
  element("p", {}, rule.description),
  element("p", { className: "about" }, element("code", {}, rule.name), ` · ${threat(rule)}`),
  ...(rule.shadow
    ? [
        element(
          "p",
          {},
          element("span", { className: "aside" }, "shadow"),
          ` Nobody is told. It would have told of ${plural(rule.would_have_told, "incident")} in the last 24 h.`,
        ),
      ]
    : []),
  ...(rule.warning ? [element("p", { className: "warning" }, rule.warning)] : []),
  element(
    "p",
    { className: "fired" },
    element(
      "a",
      { href: `/history?${new URLSearchParams({ rule: rule.name })}` },
      `${plural(rule.fired, "anomaly", "anomalies")} known`,
    ),
    rule.live
      ? element("span", { className: rule.shadow ? "status closed" : "status ongoing" }, `${number(rule.live)} now`)
      : " · nobody over it now",
  ),
  rule.closest.length
    ? element("h3", {}, "Closest in the open windows")
    : element("p", { className: "note" }, "Nobody comes close: no user has half as many in an open window."),
  ...(rule.closest.length ? [element("ol", { className: "closest" }, ...rule.closest.map(closest))] : []),
]);

poll("/api/v1/rules", 3000, (answer) => {
  byId("empty").hidden = answer.length > 0;
  write(byId("empty"), "No rules are in force.");
  const first = !byId("rules").childElementCount;
  rules.show(answer);
  for (const [index, row] of [...byId("rules").children].entries()) row.id = answer[index].name;
  if (first && location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
});

const changes = new Rows(byId("changes"), "li", "number", (change) => [
  element("p", {}, change.what, change.why ? ` — ${change.why}` : ""),
  element(
    "p",
    { className: "about" },
    `${change.number} · `,
    moment(change.when),
    ` · ${change.who} · in force: `,
    change.rules.join(", "),
  ),
  ...Object.entries(change.left_out).map(([name, why]) =>
    element("p", { className: "warning" }, `Rule ${name} is left out by this worker's release: ${why}`),
  ),
  ...(change.partitions.length
    ? [element("p", { className: "note" }, `Counted by in ${plural(change.partitions.length, "partition")}`)]
    : []),
]);

poll("/api/v1/rules/history", 3000, (answer) => {
  byId("warnings").replaceChildren(...answer.warnings.map((words) => element("p", { className: "warning" }, words)));
  changes.show(answer.changes);
});
