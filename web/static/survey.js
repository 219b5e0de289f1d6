// What the records of a topic are that a worker cannot read, and the settings that read them.

import { get } from "./connection.js";
import { byId, element, fill, write } from "./element.js";
import { number, plural } from "./text.js";

const ANEW = 60_000; // milliseconds between two questions
const SOON = 5_000; // and where there was no answer

let asked = -Infinity;

const row = (name, ...text) => element("div", {}, element("dt", {}, name), element("dd", {}, ...text));

const field = ({ name, setting, confidence, reason, examples }) =>
  row(
    name,
    element("code", {}, setting),
    element(
      "span",
      { className: "note" },
      ` ${confidence}: ${reason}${examples.length ? "; as " : ""}${examples.join(", ")}`,
    ),
  );

const click = ({ time, user_id, event, product_id }) =>
  element("code", {}, [time, user_id, event, product_id ?? ""].join("  ").trimEnd());

// As a shell and a .env file take it; no quote stands in it.
const assignment = ([name, value]) => `${name}=${/^[\w@%+=:,./-]+$/.test(value) ? value : `'${value}'`}`;

function rows({ forms, fields, clicks, examples, records, warnings }) {
  return [
    row("They are", Object.keys(forms).join("; ")),
    ...fields.map(field),
    row(
      "So read",
      `${plural(clicks, "click")} in ${plural(records, "record")}, such as `,
      ...examples.slice(0, 1).map(click),
    ),
    ...warnings.map((text) => row("Look at", text)),
  ];
}

function show(survey) {
  byId("survey").hidden = !survey.clicks;
  if (!survey.clicks) return;
  write(byId("survey-summary"), `Of the newest ${number(survey.records)} records, whatever is set now.`);
  fill(byId("survey-fields"), survey, rows);
  write(byId("survey-settings"), Object.entries(survey.settings).map(assignment).join("\n"));
}

// Ask while the worker is blind, and seldom; where there is no answer the reason above has to do.
export async function offer(isBlind) {
  if (!isBlind) {
    byId("survey").hidden = true;
    asked = -Infinity;
  }
  if (!isBlind || document.hidden || performance.now() - asked < ANEW) return;
  asked = performance.now();
  try {
    show(await get("/api/v1/inspect"));
  } catch {
    asked += SOON - ANEW;
  }
}
