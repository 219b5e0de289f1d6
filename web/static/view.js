// What the API said, made visible. Everything is set as text, never as markup.

import { duration, moment, number, plural, span, visible } from "./format.js";

const byId = (id) => document.getElementById(id);

function write(element, ...content) {
  const text = content.map((part) => part.textContent ?? part).join("");
  if (element.textContent !== text) element.replaceChildren(...content);
}

// Rows of a table, kept while their key is there, so that focus, selection and open details stay.
class Rows {
  constructor(id, template, fill) {
    this.body = byId(id).querySelector("tbody");
    this.template = byId(template).content.firstElementChild;
    this.fill = fill;
    this.rows = new Map();
  }

  show(records, key) {
    const shown = new Map();
    let place = this.body.firstElementChild;
    for (const record of records) {
      const row = this.rows.get(key(record)) ?? this.template.cloneNode(true);
      shown.set(key(record), row);
      const content = JSON.stringify(record);
      if (row.content !== content) {
        row.content = content;
        this.fill(record, (name) => row.querySelector(`[data-field="${name}"]`));
      }
      if (row === place) place = place.nextElementSibling;
      else this.body.insertBefore(row, place);
    }
    for (const [name, row] of this.rows) if (!shown.has(name)) row.remove();
    this.rows = shown;
  }
}

const anomalyRows = new Rows("anomalies", "anomaly", (anomaly, field) => {
  const ongoing = anomaly.status === "ongoing";
  const exact = anomaly.count_low === anomaly.count_high;
  const interval = exact ? "exact" : `${number(anomaly.count_low)} to ${number(anomaly.count_high)}`;
  write(field("status"), anomaly.status);
  field("status").dataset.status = anomaly.status;
  write(field("user"), ...visible(anomaly.user_id));
  write(field("rule"), anomaly.rule);
  write(field("threshold"), `more than ${number(anomaly.threshold)} in ${duration(seconds(anomaly))}`);
  write(field("threat"), `${anomaly.category.replaceAll("_", " ")}, OWASP ${anomaly.owasp}`);
  write(field("count"), number(anomaly.count));
  write(field("interval"), ongoing ? `${interval}, so far` : interval);
  write(field("window"), span(anomaly.window_start, anomaly.window_end));
  write(field("utc"), `${span(anomaly.window_start, anomaly.window_end, "UTC")} UTC`);
  write(field("reasons"), ...visible(anomaly.reasons.join("; ")));
  write(field("full-user"), ...visible(anomaly.user_id));
  field("activity").href = `/table/activity/${encodeURIComponent(anomaly.user_id)}/`;
  write(field("events"), ...visible(
    Object.entries(anomaly.events).map(([event, clicks]) => `${event} ${number(clicks)}`).join(", "),
  ));
  write(field("products"), number(anomaly.distinct_products));
  write(field("seen"), span(anomaly.first_seen, anomaly.last_seen));
  write(field("found"), `${moment(anomaly.emitted_at)} by ${anomaly.worker}, partition ${anomaly.partition}`);
  write(field("alert"), anomaly.alert_id);
});

const partitionRows = new Rows("partitions", "partition", (partition, field) => {
  write(field("partition"), String(partition.partition));
  write(field("watermark"), partition.watermark === null ? "no click yet" : moment(partition.watermark));
  write(field("delay"), duration(partition.delay));
  write(field("lag"), number(partition.lag));
  write(field("accepted"), number(partition.accepted));
  write(field("late"), number(partition.late));
  write(field("rejected"), number(sum(Object.values(partition.rejected))));
  write(field("ignored"), number(partition.ignored));
  write(field("lost"), number(partition.lost));
  write(field("windows"), number(partition.open_windows));
  write(field("suspects"), number(partition.suspects));
});

const seconds = (anomaly) => (Date.parse(anomaly.window_end) - Date.parse(anomaly.window_start)) / 1000;
const sum = (values) => values.reduce((total, value) => total + value, 0);

function showVerdict(mood, headline, ...story) {
  byId("verdict").dataset.mood = mood;
  write(byId("headline"), headline);
  write(byId("story"), ...story);
  document.title = `${headline} · Clickwarden`;
}

// The verdict and the list. `feed` is the answer of /api/v1/anomalies.
export function showAnomalies(feed) {
  const [first] = feed.anomalies;
  const worst = feed.anomalies.filter((each) => each.status === "ongoing")
    .reduce((most, each) => (each.count > (most?.count ?? 0) ? each : most), null);
  if (feed.state === "away") {
    showVerdict("unknown", "Kafka does not answer", "What is shown below was known before. Trying again…");
  } else if (worst) {
    const user = document.createElement("bdi");
    user.append(...visible(worst.user_id));
    showVerdict("alarm", `${feed.ongoing === 1 ? "1 anomaly" : `${number(feed.ongoing)} anomalies`} ongoing`,
      "Most clicks: ", user, `, rule ${worst.rule}, since ${moment(worst.first_seen)}`);
  } else if (feed.state === "loading") {
    showVerdict("unknown", "Loading…", "The anomalies are being read from Kafka.");
  } else {
    showVerdict("quiet", "Quiet", first
      ? `Nobody is over a threshold. The last window with an anomaly ended ${moment(first.window_end)}.`
      : "Nobody has gone over a threshold yet.");
  }
  anomalyRows.show(feed.anomalies, (anomaly) => anomaly.alert_id);
  byId("anomalies").hidden = !first;
  byId("empty").hidden = Boolean(first) || feed.state !== "live";
  const all = feed.anomalies.length === feed.total;
  write(byId("shown"), !first ? "" : all ? number(feed.total) : `the first ${number(feed.anomalies.length)} of ${number(feed.total)}`);
}

// Health. `status` is the answer of /api/v1/status.
export function showStatus(status) {
  const { partitions } = status;
  const total = (name) => sum(partitions.map((partition) => partition[name]));
  const rejected = {};
  for (const partition of partitions) {
    for (const [reason, count] of Object.entries(partition.rejected)) rejected[reason] = (rejected[reason] ?? 0) + count;
  }
  const delays = partitions.map((partition) => partition.delay).filter((delay) => delay !== null);
  const lag = total("lag");
  write(byId("worker"), `worker ${status.worker} · version ${status.version} · up ${duration(status.uptime)}`);
  write(byId("rate"), status.clicks_per_second === null ? "–" : number(Math.round(status.clicks_per_second)));
  write(byId("delay"), delays.length ? duration(Math.max(...delays)) : "–");
  write(byId("reading"), lag ? `${plural(lag, "click")} to read` : "read to the end");
  for (const name of ["accepted", "late", "ignored", "lost"]) write(byId(name), number(total(name)));
  write(byId("rejected"), number(sum(Object.values(rejected))));
  const reasons = Object.entries(rejected).sort(([, one], [, other]) => other - one);
  write(byId("why-rejected"), reasons.map(([reason, count]) => `${reason} ${number(count)}`).join(", ") || "could not be read");
  byId("lost").dataset.bad = total("lost") > 0;
  partitionRows.show(partitions, (partition) => partition.partition);
}

// What limits what is shown, one line each; none when all is well.
export function showNotices(feed, status) {
  const notices = [];
  if (feed.state === "away") notices.push(feed.detail);
  if (status.state === "recovering") notices.push("This worker is recovering its tables; it counts no clicks yet.");
  if (status.state === "rebalancing") notices.push("The workers are sharing out the partitions; this one counts no clicks meanwhile.");
  if (status.state === "ready" && !status.partitions.length) notices.push("This worker has no partition: there are more workers than partitions.");
  writeNotices(notices);
}

// The worker does not answer. `since` is when it last did, a Date, or null.
export function showDisconnected(since) {
  showVerdict("unknown", "No connection to the worker",
    since ? `It last answered at ${moment(since)}; what is shown below is from then. Trying again…` : "Trying again…");
}

function writeNotices(notices) {
  const list = byId("notices");
  const items = notices.map((notice) => {
    const item = document.createElement("li");
    item.textContent = notice;
    return item;
  });
  write(list, ...items);
}
