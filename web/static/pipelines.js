// What models score beside the clicks: records, alarms against the budget, and who of the models is in charge.

import { appoint, promotion, rollback } from "./appointment.js";
import { poll } from "./connection.js";
import { days } from "./days.js";
import { byId, element, fact, fill, Rows } from "./element.js";
import { spent } from "./picture.js";
import { figure, number, plural, sum, visible } from "./text.js";
import { at, moment } from "./time.js";

// Until a change is in force everywhere, it is asked for so often.
const SOON = 500;

function watched({ topic, key, features, severity }) {
  const records = ["Records of the topic ", element("code", {}, topic)];
  if (!key) return [...records, ", as other workers score them. This one does not: see CLICKWARDEN_PIPELINES."];
  return [
    ...records,
    ": each is held against what its ",
    element("code", {}, key),
    ` did before, by ${plural(features, "feature")}. Its anomalies are of ${severity} severity.`,
  ];
}

function aside({ late, rejected, lost }) {
  const counts = Object.entries({ ...(late && { late }), ...rejected });
  const why = counts.map(([reason, count]) => `${number(count)} ${reason}`);
  return [
    why.length ? `without a score: ${why.join(", ")}` : "nothing so far",
    lost ? `; ${number(lost)} lost to retention` : "",
  ];
}

function alarms({ pipeline, alarms_of_day, day_is_kept, budget, event_time }) {
  const count = element(
    "a",
    { href: `/history?${new URLSearchParams({ pipeline, kind: "attack" })}` },
    `${day_is_kept ? "" : "at least "}${plural(alarms_of_day, "alarm")}`,
  );
  const day = event_time ? `in the 24 h of its records to ${moment(event_time)}` : "no record yet";
  if (budget === null) return fact("Alarms a day", count, `${day}; no budget is set`);
  return fact("Alarms a day", count, spent(alarms_of_day, budget), `${day}; the budget is ${number(budget)}`);
}

const milliseconds = (seconds) => `${number(Math.round(1000 * seconds))} ms`;

const latency = ({ latency: waited }) =>
  waited
    ? [fact("Until the score", milliseconds(waited.median), `99 of 100 records within ${milliseconds(waited.p99)}`)]
    : [];

// How often the champions were right, as labels say that come later.
function labels({ labelled, champions }) {
  if (!labelled) return [];
  const known = labelled.models.find(({ version }) => champions.includes(version));
  const alarmed = known ? known.confirmed + known.refuted : 0;
  return [
    fact("Right alarms", percent(known?.precision ?? null), `of ${plural(alarmed, "alarm")} with a label`),
    fact("Found", percent(labelled.recall), `of ${plural(labelled.abnormal, "record")} labelled abnormal`),
  ];
}

const ROLES = {
  champion: () => element("span", { className: "status ready" }, "champion"),
  challenger: () => element("span", { className: "aside" }, "challenger"),
  "": () => "",
};

const percent = (part) => (part === null ? "–" : `${Math.round(100 * part)} %`);

// How a challenger does beside the champion, on the same records.
function beside(each) {
  if (!each?.scored) return ["", ""];
  const [own, both, champion] = [each.alarms, each.both, each.champion_alarms].map(number);
  const told = `${both} of the ${own} it alarms, and of the ${champion} that the champion does`;
  return [number(each.alarms_a_day), [percent(each.agreement), element("small", {}, told)]];
}

// The newest answer: what a button is about may be older than what is known by now.
let known = [];

const button = (pipeline, action, unseen) =>
  element(
    "button",
    {
      type: "button",
      className: "second",
      onclick: () =>
        appoint(
          known.find((each) => each.pipeline === pipeline),
          action,
          appointed,
        ),
    },
    action.name,
    element("span", { className: "unseen" }, ` ${unseen}`),
  );

function model(pipeline, { version, role, detector, trained, threshold, fault, partitions }, challenger) {
  const [alarmed, agreed] = beside(challenger);
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("code", {}, version), " ", ROLES[role]()),
    ...(fault
      ? [element("td", { colSpan: 6, className: "refused warning" }, ...visible(fault))]
      : [
          element("td", {}, detector, element("small", {}, "trained ", at(trained))),
          element("td", { className: "number" }, figure(threshold)),
          element("td", { className: "number" }, alarmed),
          element("td", {}, ...agreed),
          element("td", {}, partitions.length ? partitions.join(", ") : "–"),
          element("td", {}, role === "champion" ? "" : button(pipeline, promotion(version), version)),
        ]),
  );
}

const models = ({ pipeline, models, challengers }) =>
  element(
    "div",
    { className: "scrolls", role: "region", ariaLabel: `Models of ${pipeline}`, tabIndex: 0 },
    element(
      "table",
      { className: "models" },
      element(
        "thead",
        {},
        element(
          "tr",
          {},
          ...["Model", "Detector", "Threshold", "Alarms a day", "Agrees with the champion", "Partitions"].map((name) =>
            element("th", { scope: "col", className: /Threshold|day/.test(name) ? "number" : "" }, name),
          ),
          element("td", {}),
        ),
      ),
      element(
        "tbody",
        {},
        ...models.map((each) =>
          model(
            pipeline,
            each,
            challengers.find(({ version }) => version === each.version),
          ),
        ),
      ),
    ),
  );

const change = (each) =>
  element(
    "li",
    {},
    ...visible(each.what),
    ...(each.why ? [" — ", ...visible(each.why)] : []),
    element("small", {}, `${each.number} · `, at(each.when), " · ", ...visible(each.who)),
  );

// Where the newest change is in force.
function taken({ waiting, partitions }) {
  if (!waiting.length) return `In force in all ${plural(partitions, "partition")}.`;
  const places = waiting.length === 1 ? "partition" : "partitions";
  return `Taken up by workers now; ${places} ${waiting.join(", ")} to follow.`;
}

// Where no model was trained, and one learns while it scores.
function online({ champions, learning }) {
  if (!champions.some((version) => /^online(-|$)/.test(version))) return [];
  const left = Object.entries(learning);
  const words = left.length
    ? `Learning: it has no verdict on a record before ${left.map(([partition, records]) => `${plural(records, "record")} more came in partition ${partition}`).join(", ")}.`
    : "Each record is judged by those before it.";
  return [
    element(
      "p",
      { className: "note online" },
      element("span", { className: "status ready" }, left.length ? "learning" : "online"),
      " No model was trained for it: half-space trees learn while they score, until one is in charge. ",
      words,
    ),
  ];
}

const rows = new Rows(byId("pipelines"), "li", "pipeline", (each) => [
  element("h2", {}, each.pipeline),
  element("p", {}, ...watched(each)),
  ...(each.trouble ? [element("p", { className: "warning" }, ...visible(each.trouble))] : []),
  ...online(each),
  element(
    "dl",
    { className: "figures" },
    fact("Scored", number(each.scored), `in ${plural(each.partitions, "partition")}`),
    fact("To be scored", number(each.lag), each.lag ? "records wait" : "nothing waits"),
    fact("Set aside", number(each.late + sum(Object.values(each.rejected))), ...aside(each)),
    alarms(each),
    fact("Told", number(each.alarms), "alarms since the topic began"),
    ...latency(each),
    ...labels(each),
  ),
  ...(each.days.length ? [element("h3", {}, "Days, by the time of the records"), days(each)] : []),
  ...(each.models.length ? [element("h3", {}, "Models"), models(each)] : []),
  ...(each.former
    ? [
        element(
          "p",
          { className: "more" },
          "Before this champion it was ",
          element("code", {}, each.former),
          ". ",
          button(each.pipeline, rollback, `${each.pipeline} to ${each.former}`),
        ),
      ]
    : []),
  ...(each.changes.length
    ? [
        element("h3", {}, "Changes of the models"),
        element("p", { className: "note" }, taken(each)),
        element("ol", { className: "changes" }, ...each.changes.map(change)),
      ]
    : []),
]);

// The change that was made here, until it is in force everywhere, and of which pipeline.
let made = null;

function tell(words) {
  byId("revised").hidden = false;
  fill(byId("revised"), [made, words], () => [
    `Change ${made.number} of ${made.pipeline}: `,
    ...visible(made.what),
    `. ${words}`,
  ]);
}

function follow(answer) {
  const found = made && answer.find((each) => each.pipeline === made.pipeline);
  if (!found || found.edition < made.number) return;
  tell(found.edition > made.number ? "Another change has come since." : taken(found));
  if (found.edition > made.number || !found.waiting.length) made = null;
  else setTimeout(ask, SOON);
}

function appointed(change, pipeline) {
  made = { ...change, pipeline };
  tell("The workers take it up.");
  byId("revised").focus();
  ask();
}

const ask = poll("/api/v1/pipelines", 3000, (answer) => {
  known = answer;
  byId("asking").hidden = true;
  byId("none").hidden = answer.length > 0;
  const first = !byId("pipelines").childElementCount;
  rows.show(answer);
  for (const [index, row] of [...byId("pipelines").children].entries()) row.id = `pipeline-${answer[index].pipeline}`;
  if (first && location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
  follow(answer);
});
