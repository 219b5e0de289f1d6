// Anomalies of the time Kafka keeps them: filtered by what the address says, page by page.

import { load } from "./connection.js";
import { byId, element, Rows, write } from "./element.js";
import { count, crossing, drift, head, marks, origin, score, status, threat } from "./incident.js";
import { number, plural, ruleLink, userLink, visible } from "./text.js";
import { span } from "./time.js";

const LIMIT = 50;
const FILTERS = ["rule", "pipeline", "user", "category", "status", "kind", "since", "until"];

const asked = new URLSearchParams(location.search);
const filters = new URLSearchParams(FILTERS.filter((name) => asked.get(name)).map((name) => [name, asked.get(name)]));
const cursor = [...asked].filter(([name]) => name === "cursor");
const form = byId("filters");

// A moment as the form's fields take it: in the reader's zone.
function local(iso) {
  const date = new Date(iso);
  return Number.isNaN(date.valueOf())
    ? ""
    : new Date(date - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

const isTime = (name) => name === "since" || name === "until";

function addChoices(field, names) {
  form.elements[field].append(
    ...names.filter((name) => name !== filters.get(field)).map((name) => element("option", {}, name)),
  );
}

// The form says what the address says, also when the browser comes back to it.
for (const field of ["rule", "pipeline"])
  form.elements[field].append(...filters.getAll(field).map((name) => element("option", {}, name)));
const say = (name) => (form.elements[name].value = (isTime(name) ? local : String)(filters.get(name) ?? ""));
for (const name of filters.keys()) say(name); // who is quick may have chosen others meanwhile
addEventListener("pageshow", ({ persisted }) => {
  if (persisted) FILTERS.forEach(say);
});

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const given = [...new FormData(form)]
    .filter(([, value]) => value)
    .map(([name, value]) => [name, isTime(name) ? new Date(value).toISOString() : value]);
  location.assign(`/history?${new URLSearchParams(given)}`);
});

function figures(each) {
  if (each.scored) return score(each);
  return each.drift ? drift(each.drift) : count(each.count_low, each.count_high, each.threshold, each.distinct);
}

const rows = new Rows(byId("anomalies"), "li", "alert_id", (each) => [
  element(
    "div",
    {},
    span(each.window_start, each.window_end),
    element("small", {}, `${span(each.window_start, each.window_end, "UTC")} UTC`),
  ),
  element(
    "div",
    { className: "who" },
    userLink(each.user_id),
    ...marks(each),
    element("small", {}, ...visible(each.reasons.join("; "))),
  ),
  element("div", {}, ruleLink(each.rule), element("small", {}, threat(each))),
  ...figures(each),
  element("div", {}, status(each), element("small", {}, [crossing(each), origin(each)].filter(Boolean).join(" "))),
]);

function show({ anomalies, total, next, state, detail }) {
  if (state === "loading") setTimeout(ask, 1000);
  rows.show(anomalies);
  byId("anomalies-head").replaceChildren(...head("Window", "User", "Rule", "Count", "scale", ""));
  byId("anomalies-head").hidden = !anomalies.length;
  byId("empty").hidden = anomalies.length > 0;
  write(
    byId("empty"),
    state === "away"
      ? detail
      : state === "loading"
        ? "Still being read from Kafka…"
        : filters.get("since") >= filters.get("until") && filters.has("until")
          ? "No time is between these two: the second is not after the first."
          : filters.size
            ? "Nothing like this was found. Take a filter away, or clear them all."
            : "Nobody has gone over a threshold yet.",
  );
  write(
    byId("shown"),
    anomalies.length ? `${number(anomalies.length)} of ${plural(total, "anomaly", "anomalies")}` : "No anomalies",
  );
  byId("newest").hidden = !cursor.length;
  byId("newest").href = `/history?${filters}`;
  byId("older").hidden = !next;
  byId("older").href = `/history?${new URLSearchParams([...filters, ["cursor", next ?? ""]])}`;
}

for (const format of ["csv", "ndjson"]) byId(format).href = `/api/v1/anomalies.${format}?${filters}`;
byId("json").href = `/api/v1/anomalies?${filters}`;
load("/api/v1/rules", (rules) =>
  addChoices(
    "rule",
    rules.map((rule) => rule.name),
  ),
);
load("/api/v1/pipelines", (pipelines) =>
  addChoices(
    "pipeline",
    pipelines.map(({ pipeline }) => pipeline),
  ),
);
const ask = () => load(`/api/v1/anomalies?${new URLSearchParams([...filters, ...cursor, ["limit", LIMIT]])}`, show);
ask();
