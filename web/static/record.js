// One record of a pipeline that a model found abnormal: how much so, and which of its features did it.

import { load, Refused } from "./connection.js";
import { byId, element, fact, fill, write } from "./element.js";
import { marks } from "./incident.js";
import { beside } from "./picture.js";
import { figure, number, plural, ruleLink, userId, userLink, visible } from "./text.js";
import { at, since } from "./time.js";

const id = new URLSearchParams(location.search).get("id") ?? "";

// How many of the usual records score as high.
function rarity(p) {
  if (p <= 0) return "no usual record scores as high";
  if (p >= 0.1) return `${Math.round(100 * p)} of 100 usual records score as high`;
  return `one in ${number(Math.round(1 / p))} usual records scores as high`;
}

function outside({ value, usual: [low, , high] }) {
  if (value === null) return "";
  if (value > high) return "above what is usual";
  return value < low ? "below what is usual" : "within what is usual";
}

// What the field of a feature was before, in the records of the same key.
function own({ feature, key_mean: mean, key_std: deviation, key_count: count, key_window: span }) {
  if (!span) return [];
  if (mean === null) return [element("small", {}, `none of this key in the ${span} before`)];
  const field = feature.replace(/^log1p\((.*)\)$/, "$1").replace(/\.ratio\.[^.]*$/, "");
  return [
    element(
      "small",
      {},
      "of this key, ",
      ...visible(field),
      ` in the ${span} before: mean ${figure(mean)}`,
      deviation === null ? "" : `, deviation ${figure(deviation)}`,
      count === null ? "" : `, of ${plural(count, "record")}`,
    ),
  ];
}

// One feature: what it is, what is usual, and what it has done to the score.
function cause(each, { score, threshold }) {
  const { feature, value, usual, effect } = each;
  const [low, median, high] = usual;
  const words = `usual are ${figure(low)} to ${figure(high)}, mostly ${figure(median)}`;
  const without = score - effect;
  return element(
    "li",
    {},
    element(
      "div",
      {},
      element("strong", {}, ...visible(feature)),
      `${figure(value)} `,
      element("small", {}, outside(each)),
    ),
    element("div", {}, beside(value, usual, `${figure(value)}; ${words}`), element("small", {}, words), ...own(each)),
    element(
      "div",
      {},
      effect > 0
        ? `Were it ${figure(median)}, the score would be ${figure(without)}`
        : `Were it ${figure(median)}, the score would be no lower`,
      element("small", {}, without < threshold ? "and this no anomaly" : "and this an anomaly all the same"),
    ),
  );
}

function show(anomaly) {
  const { user_id, rule, scored, first_seen, partition, shadow } = anomaly;
  byId("headline").replaceChildren(userId(user_id));
  document.title = `${byId("headline").textContent} · Clickwarden`;
  if (!scored) {
    byId("story").replaceChildren(
      "This anomaly is of rule ",
      ruleLink(rule),
      ", which counts clicks. What they did stands at ",
      userLink(user_id),
      ".",
    );
    return;
  }
  byId("story").replaceChildren(
    "A record of ",
    element("a", { href: `/pipelines#pipeline-${scored.pipeline}` }, scored.pipeline),
    " that its model finds abnormal: ",
    `${rarity(scored.p_value)}.`,
    ...(scored.detector === "online"
      ? [" It learns while it scores: usual is what came just before, and it names no features."]
      : []),
    ...(shadow ? [" The model is a challenger: nobody is told. ", ...marks(anomaly)] : []),
  );
  byId("facts").hidden = false;
  fill(byId("facts"), anomaly, () => [
    fact("Score", figure(scored.score), `an anomaly from ${figure(scored.threshold)} on`),
    fact("P-value", figure(scored.p_value), "the share of usual records that score as high"),
    fact("When", at(first_seen), since(first_seen)),
    fact("Model", element("code", {}, scored.version), scored.detector),
    fact("Severity", scored.severity, "of the pipeline"),
    fact(
      "Record",
      scored.record_id === null ? "without an id" : element("bdi", {}, ...visible(scored.record_id)),
      `offset ${number(scored.offset)} of partition ${partition} of `,
      ...visible(scored.topic),
    ),
  ]);
  byId("causes-section").hidden = !scored.causes.length;
  byId("causes").replaceChildren(...scored.causes.map((each) => cause(each, scored)));
  byId("user").href = `/user?${new URLSearchParams({ id: user_id })}`;
  byId("others").hidden = false;
}

if (id) {
  byId("json").href = `/api/v1/anomalies/${encodeURIComponent(id)}`;
  const error = await load(byId("json").href, show);
  if (error instanceof Refused && error.status === 404) {
    write(byId("headline"), "Not kept");
    write(
      byId("story"),
      "No anomaly of this id is known: a worker keeps the newest 20,000, and the topic those of thirty days.",
    );
  }
} else {
  write(byId("headline"), "Which?");
  write(byId("story"), "Choose an anomaly of a pipeline where they are listed: in the history, or of a user.");
  document.body.dataset.link = "live";
  write(byId("link"), "");
}
