// What is being watched, how often it fired, how close the busiest come, and how it came to be and is changed.

import { poll } from "./connection.js";
import { byId, element, fill, Rows, write } from "./element.js";
import { threat } from "./incident.js";
import { share } from "./picture.js";
import { revise } from "./revision.js";
import { multiple, number, plural, userLink, visible } from "./text.js";
import { moment } from "./time.js";

// Until a change is in force everywhere, its history is asked for so often.
const SOON = 500;

const sentence = (words) => `${words.charAt(0).toUpperCase()}${words.slice(1)}`;

const closest = (distinct) => (each) =>
  element(
    "li",
    {},
    userLink(each.user_id),
    share(each.count_high, each.threshold, distinct),
    element(
      "span",
      { className: "number" },
      `${multiple(each.count_high, each.threshold)}`,
      element("small", {}, ` ${number(each.count_high)} of ${number(each.threshold)}`),
    ),
  );

const edit = (name) =>
  element(
    "button",
    { type: "button", className: "second", onclick: () => revise(name, revised) },
    "Change",
    element("span", { className: "unseen" }, ` rule ${name}`),
  );

// How often it was right, as people say.
function right({ told, confirmed, refuted, unanswered, share }) {
  if (!told && share === null) return [];
  const words = [
    `told of ${plural(told, "incident")}`,
    plural(confirmed, "bot"),
    plural(refuted, "human"),
    `${number(unanswered)} without an answer`,
  ];
  const often = share === null ? "" : `Right in ${Math.round(100 * share)} % of the answers: `;
  return [element("p", { className: "note" }, sentence(`${often}${words.join(", ")}.`))];
}

const rules = new Rows(byId("rules"), "li", "name", (rule) => [
  element("h2", {}, sentence(rule.words), edit(rule.name)),
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
  ...right(rule.precision),
  rule.closest.length
    ? element("h3", {}, "Closest in the open windows")
    : element("p", { className: "note" }, "Nobody comes close: no user has half as many in an open window."),
  ...(rule.closest.length
    ? [element("ol", { className: "closest" }, ...rule.closest.map(closest(rule.distinct)))]
    : []),
]);

const askRules = poll("/api/v1/rules", 3000, (answer) => {
  byId("empty").hidden = answer.length > 0;
  write(byId("empty"), "No rules are in force.");
  const first = !byId("rules").childElementCount;
  show(rules, answer);
  if (first && location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
});

const disabled = new Rows(byId("disabled"), "li", "name", (rule) => [
  element("h2", {}, sentence(rule.words), edit(rule.name)),
  element("p", {}, rule.description),
  element("p", { className: "about" }, element("code", {}, rule.name), " · switched off"),
]);

// A row is found by the name of its rule.
function show(rows, answer) {
  rows.show(answer);
  for (const [index, row] of [...rows.parent.children].entries()) row.id = answer[index].name;
}

// Where a change is in force; of the newest, `waiting` has the partitions that have not taken it up.
function counted({ partitions, waiting, when }) {
  const places = plural(partitions.length, "partition");
  if (!waiting) return partitions.length ? [`Counted by in ${places}`] : [];
  if (!waiting.length) return [`In force in all ${places} since `, moment(when)];
  return [
    `In force in ${places}; ${waiting.length === 1 ? "partition" : "partitions"} ${waiting.join(", ")} to follow`,
  ];
}

const changes = new Rows(byId("changes"), "li", "number", (change) => [
  element("p", {}, ...visible(change.what), ...(change.why ? [" — ", ...visible(change.why)] : [])),
  element(
    "p",
    { className: "about" },
    `${change.number} · `,
    moment(change.when),
    " · ",
    ...visible(change.who),
    " · in force: ",
    change.rules.join(", "),
  ),
  ...Object.entries(change.left_out).map(([name, why]) =>
    element("p", { className: "warning" }, `Rule ${name} is left out by this worker's release: ${why}`),
  ),
  element("p", { className: "note" }, ...counted(change)),
]);

// The change that was made here, until it is in force everywhere.
let made = null;

function tell(...words) {
  byId("revised").hidden = false;
  const shown = words.map((part) => part.textContent ?? part); // the same is not said again
  fill(byId("revised"), [made, shown], () => [`Change ${made.number}: `, ...visible(made.what), ". ", ...words, "."]);
}

const askHistory = poll("/api/v1/rules/history", 3000, (answer) => {
  byId("warnings").replaceChildren(...answer.warnings.map((words) => element("p", { className: "warning" }, words)));
  const [last, ...others] = answer.changes;
  const newest = { ...last, waiting: answer.waiting };
  changes.show(last ? [newest, ...others] : []);
  const off = answer.rules.filter((rule) => !rule.enabled);
  show(disabled, off);
  byId("disabled-section").hidden = !off.length;
  if (!made) return;
  if (last.number > made.number) tell("Another change has come since");
  if (last.number === made.number) tell(...counted(newest));
  if (last.number > made.number || (last.number === made.number && !answer.waiting.length)) made = null;
  else setTimeout(askHistory, SOON);
});

function revised(change) {
  made = change;
  tell("The workers take it up");
  byId("revised").focus();
  askHistory();
  setTimeout(askRules, 2 * SOON);
}
