// Everything known about one user, and why there is nothing where there is nothing.

import { poll } from "./connection.js";
import { byId, element, fact, fill, Rows, write } from "./element.js";
import { say, stands } from "./feedback.js";
import { count, head, incident, isAside, marks, score } from "./incident.js";
import { parts } from "./picture.js";
import { number, ruleLink, userId, visible } from "./text.js";
import { at, duration, since, span } from "./time.js";

const ROWS = 50;

const id = new URLSearchParams(location.search).get("id") ?? "";
const path = `/api/v1/users/${encodeURIComponent(id)}`;

const windows = new Rows(byId("windows"), "li", "key", (each) => [
  element(
    "div",
    {},
    span(each.window_start, each.window_end),
    element("small", {}, `${span(each.window_start, each.window_end, "UTC")} UTC`),
  ),
  element(
    "div",
    {},
    ruleLink(each.rule),
    element(
      "small",
      {},
      each.scored ? "learned" : each.open ? "still open" : "closed",
      each.scored
        ? ""
        : `, ${products(each.distinct_products)} ${each.distinct_products === 1 ? "product" : "products"}`,
    ),
  ),
  ...(each.scored ? score(each) : count(each.count_low, each.count_high, each.threshold, each.distinct)),
  element(
    "div",
    {},
    element(
      "span",
      { className: `status ${each.anomaly && !isAside(each) ? "over" : "below"}` },
      each.anomaly ? "over" : "below",
    ),
    ...marks(each),
  ),
]);
const incidents = new Rows(byId("incidents"), "li", "incident_id", (each) => {
  const [who, ...cells] = incident(each);
  const button = { type: "button", className: "second", onclick: () => say(each, each.said, () => ask()) };
  who.append(...stands(each.said), element("div", {}, element("button", button, "Say what it was")));
  return [who, ...cells];
});

// They are counted up to 256.
const products = (count) => (count < 256 ? number(count) : `${number(count)} or more`);

const lasting = (user) => duration((Date.parse(user.last_seen) - Date.parse(user.first_seen)) / 1000);

function story(user) {
  const sentences = [user.why, user.reasons.join("; ")].filter(Boolean);
  return visible(sentences.map((text) => `${text[0].toUpperCase()}${text.slice(1)}.`).join(" "));
}

function show(user) {
  fill(byId("story"), user, story);
  byId("counterfactual").hidden = !user.counterfactual;
  fill(byId("counterfactual"), user.counterfactual ?? "", (words) => visible(words));
  byId("facts").hidden = !user.known;
  fill(byId("facts"), user, () =>
    user.known && user.first_seen
      ? [
          fact("First seen", at(user.first_seen), since(user.first_seen)),
          fact("Last seen", at(user.last_seen), since(user.last_seen)),
          fact("Active for", lasting(user), "between the two, by the clicks counted exactly"),
          fact("Products", products(user.distinct_products), "different ones, in one window"),
          fact("Partition", String(user.partition), "of the clicks"),
        ]
      : [],
  );
  byId("windows-section").hidden = !user.windows.length;
  fill(byId("windows-head"), "head", () => head("Window", "Rule", "Count", "scale", ""));
  write(
    byId("windows-shown"),
    user.windows.length > ROWS ? `the newest ${ROWS} of ${number(user.windows.length)}` : number(user.windows.length),
  );
  const place = (each) => (each.scored ? each.alert_id : each.window_start);
  windows.show(user.windows.slice(0, ROWS).map((each) => ({ ...each, key: `${each.rule} ${place(each)}` })));
  byId("events-section").hidden = !Object.keys(user.events).length;
  fill(byId("events"), user.events, parts);
  byId("incidents-section").hidden = !user.incidents.length;
  write(byId("incidents-shown"), number(user.incidents.length));
  incidents.show(user.incidents.slice(0, ROWS).map((each) => ({ ...each, said: user.said[each.incident_id] ?? null })));
}

let ask = () => {};

if (id) {
  byId("headline").replaceChildren(userId(id));
  document.title = `${byId("headline").textContent} · Clickwarden`;
  byId("find").value = id;
  byId("json").href = path;
  byId("table").href = `/table/activity/${encodeURIComponent(id)}/`;
  byId("history").href = `/history?${new URLSearchParams({ user: id })}`;
  ask = poll(path, 2000, show);
} else {
  write(byId("headline"), "Whom?");
  write(
    byId("story"),
    "Find a user by the id that stands in the clicks, or choose one where they are listed: under Now, or in the history.",
  );
  document.body.dataset.link = "live";
  write(byId("link"), "");
  byId("find").focus();
}
