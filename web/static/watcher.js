// How the watcher itself is doing: in a sentence, in figures, by worker and by partition.

import { byId, element, fill, Rows, write } from "./element.js";
import { number, plural, rate, sum } from "./text.js";
import { at, duration } from "./time.js";

// "2 workers count 4 partitions".
export function duty(health) {
  const counting = health.workers.filter((worker) => ["ready", "blind"].includes(worker.state));
  const partitions = new Set(counting.flatMap((worker) => worker.partitions.map((each) => each.partition)));
  return `${plural(counting.length, "worker")} on ${plural(partitions.size, "partition")}`;
}

const figure = (name, value, note) => [
  element("div", {}, element("dt", {}, name), element("dd", {}, value), element("dd", { className: "note" }, note)),
];

const total = (rejected) => sum(Object.values(rejected));

function figures(health) {
  const reasons = Object.entries(health.rejected).sort(([, one], [, other]) => other - one);
  return [
    figure("Clicks a second", rate(health.clicks_per_second), "of all workers"),
    figure(
      "Watermark delay",
      duration(health.watermark_delay),
      health.lag ? `${plural(health.lag, "click")} to read` : "read to the end",
    ),
    figure("Kafka", health.kafka === "ok" ? "answers" : "is away", health.detail || "reachable"),
    figure("Accepted", number(health.accepted), "counted"),
    figure(
      "Late",
      number(health.late),
      [
        health.uncounted ? `${number(health.uncounted)} too late to be counted` : "counted all the same",
        health.late_by_silence && `${number(health.late_by_silence)} behind a silence`,
      ]
        .filter(Boolean)
        .join(", "),
    ),
    figure(
      "Rejected",
      number(total(health.rejected)),
      reasons.map(([reason, count]) => `${reason.replaceAll("_", " ")} ${number(count)}`).join(", ") ||
        "could not be read",
    ),
    figure("Ignored", number(health.ignored), "no value"),
    figure("Lost", number(health.lost), "deleted by retention"),
  ].flat();
}

const bytes = (count) => (count === null ? "–" : `${(count / 1e6).toFixed(1)} MB`);

// A connector that captures tables: what Connect says, how far PostgreSQL's log is read, when it was heard last.
const capture = (each) => [
  element("bdi", { className: "name" }, each.connector),
  element("span", { className: `status ${each.active ? "ready" : "away"}` }, each.slot || "unknown"),
  element(
    "small",
    {},
    [
      each.topics.join(", "),
      `Connect says ${[each.state || "nothing", ...each.tasks].join(", ")}`,
      `${bytes(each.lag_bytes)} to read`,
      `${bytes(each.kept_bytes)} of the log kept`,
      ...(each.heartbeat_age === null ? [] : [`last heartbeat ${duration(each.heartbeat_age)} ago`]),
    ].join(" · "),
  ),
];

let workers, partitions, captures;

export function showWatcher({ health, version }) {
  workers ??= new Rows(byId("workers"), "li", "worker", (worker) => [
    element("bdi", { className: "name" }, worker.worker),
    element("span", { className: `status ${worker.state}` }, worker.state),
    element(
      "small",
      {},
      `${rate(worker.clicks_per_second)} clicks/s · version ${worker.version} · `,
      worker.numbers.length ? `partition ${worker.numbers.join(", ")}` : "no partition",
    ),
  ]);
  partitions ??= new Rows(byId("partitions"), "tr", "partition", (each) => [
    element("th", { scope: "row", className: "number" }, String(each.partition)),
    element("td", {}, element("bdi", {}, each.worker)),
    element("td", {}, each.watermark === null ? "no click yet" : at(each.watermark)),
    ...[
      duration(each.delay),
      number(each.lag),
      number(each.accepted),
      number(each.late),
      number(total(each.rejected)),
      number(each.ignored),
      number(each.lost),
      number(each.open_windows),
      number(each.suspects),
    ].map((text) => element("td", { className: "number" }, text)),
  ]);
  captures ??= new Rows(byId("captures"), "li", "connector", capture);
  byId("captures-title").hidden = byId("captures").hidden = !health.captures.length;
  captures.show(health.captures);
  write(byId("version"), `version ${version}`);
  fill(byId("figures"), health, figures);
  workers.show(
    health.workers.map((worker) => ({
      ...worker,
      seen: null,
      partitions: null,
      numbers: worker.partitions.map((each) => each.partition),
    })),
  );
  partitions.show(
    health.workers.flatMap((worker) => worker.partitions).sort((one, other) => one.partition - other.partition),
  );
}
