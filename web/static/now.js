// Is anyone attacking now, who, how sure, since when; and is the watcher itself healthy?

import { follow, get, notice } from "./connection.js";
import { byId, element, fact, fill, Rows, write } from "./element.js";
import { allowed, crossing, head, incident, isAside, marks, rank, status, threat } from "./incident.js";
import { interval, lamp } from "./picture.js";
import { offer } from "./survey.js";
import { certainty, figure, multiple, number, plural, range, rate, recordLink, ruleLink, userLink } from "./text.js";
import { at, since } from "./time.js";
import { Timeline } from "./timeline.js";
import { duty, showWatcher } from "./watcher.js";

const ROWS = 50;
const LINES = 12;
const AT_ONCE = 4; // rows made in one frame
const FRESH = 250; // milliseconds after which an answer knows of an anomaly
const QUIET_FOR = 20_000; // milliseconds between two announcements of the same state

let answer = null; // the last one of /api/v1/now
let connected = true;
let looked = false; // what was found before is known
const found = new Map(); // the newest anomalies by alert_id, the newest last

function note(anomaly) {
  const known = found.get(anomaly.alert_id);
  if (known && rank(known) > rank(anomaly)) return;
  found.delete(anomaly.alert_id);
  found.set(anomaly.alert_id, anomaly);
  if (found.size > ROWS) found.delete(found.keys().next().value);
}

async function lookBack() {
  try {
    const { anomalies, state } = await get(`/api/v1/anomalies?limit=${ROWS}`);
    const newer = [...found.values()];
    found.clear();
    anomalies.sort((one, other) => Date.parse(one.emitted_at) - Date.parse(other.emitted_at));
    [...anomalies, ...newer].forEach(note);
    looked = state !== "loading";
    if (!looked) setTimeout(lookBack, 1000);
    draw(showLog, showVerdict);
  } catch {
    setTimeout(lookBack, 2000);
  }
}

const due = new Set(); // parts to draw

// A part at a frame, however much has come until then.
function draw(...parts) {
  if (!answer) return;
  if (!due.size) requestAnimationFrame(frame);
  parts.forEach((part) => due.add(part));
}

function frame() {
  const [part] = due;
  due.delete(part);
  if (part()) due.add(part);
  if (due.size) requestAnimationFrame(frame);
}

const attacks = () => plural(answer.live_total, "attack");

function title() {
  if (!connected) return "? Disconnected";
  return { attack: `◆ ${attacks()}`, quiet: "Quiet", blind: "⊘ Blind", unknown: "? Unknown" }[stateNow()];
}

// It is seen also where no frame is drawn.
function entitle() {
  document.title = `${title()} · Clickwarden`;
}

function stateNow() {
  if (!connected) return "unknown";
  return answer.verdict.blind ? "blind" : answer.verdict.state;
}

const blindTo = ({ records, uncountable }) =>
  uncountable === records
    ? "Blind: nothing that comes can be counted"
    : `Blind to ${Math.floor((100 * uncountable) / records)} % of what comes`;

const worst = () => answer.live.find((each) => each.incident_id === answer.verdict.worst) ?? answer.live[0];

// What keeps from coming what happens.
const lost = () =>
  [...answer.health.findings.filter((each) => each.blinds).map((each) => each.summary), ...answer.health.unscored].join(
    "; ",
  );

// Why somebody who is over a threshold may not be seen.
const hidden = () =>
  [...answer.health.findings.filter((each) => each.hides).map((each) => each.summary), ...answer.health.learning].join(
    "; ",
  );

function headline(state) {
  if (!connected) return ["No connection to the worker"];
  if (state === "unknown") return ["No verdict right now"];
  if (state === "quiet") return [hidden() ? "Quiet, as far as can be seen" : "All quiet"];
  if (state === "blind") return [answer.health.blindness ? blindTo(answer.health.blindness) : `Blind: ${lost()}`];
  const user = userLink(worst().user_id);
  return answer.live_total === 1 ? ["Attack by ", user] : [`${attacks()}, the worst by `, user];
}

function story(state) {
  if (!connected) return ["What follows was known at ", at(answer.time), ". The page goes on asking."];
  if (state === "unknown") return [answer.verdict.text];
  if (state === "quiet" && !hidden() && answer.aside_total)
    return [`Of ${plural(answer.aside_total, "user")} over a threshold nobody is told: in shadow, or allowed.`];
  if (state === "quiet")
    return [hidden() ? `Somebody over a threshold may go unseen: ${hidden()}.` : "Nobody is over a threshold."];
  if (state === "blind") return ["Nobody is known to be over a threshold, and whoever is would not be seen."];
  const { count_low, count_high, reasons } = worst();
  const sure =
    certainty(count_low, count_high, allowed(worst())) === "certain"
      ? "Certain: even the lowest count possible is over the threshold."
      : "Likely: the highest count possible is over the threshold, the lowest is not.";
  return [`${sure} When it was crossed: ${reasons.join("; ")}.`];
}

function facts({ state, incident: each, last, trouble, duty: busy, clicks, isHeard }) {
  if (!isHeard) return [fact("The watcher", "Unknown", "no connection to this worker")];
  const watcher = fact(
    "The watcher",
    trouble.length ? "Impaired" : "Healthy",
    trouble.join("; ") || `${busy}, Kafka answers`,
  );
  watcher.className = trouble.length ? "impaired" : "well";
  if (state === "attack") {
    return [
      fact(
        `${each.distinct ? `Different values of ${each.distinct}` : "Clicks"} in ${plural(each.windows, "window")}`,
        `${number(each.count_high)}, ${multiple(each.count_high, allowed(each))} the limit`,
        interval(each.count_low, each.count_high, allowed(each), each.distinct),
        `${range(each.count_low, each.count_high)}, limit ${number(allowed(each))}`,
      ),
      fact("Rule", ruleLink(each.rule), threat(each)),
      fact("Since", at(each.since), since(each.since)),
      watcher,
    ];
  }
  return [
    fact(
      "Last found",
      last ? at(last.emitted_at) : "Nothing yet",
      ...(last
        ? [since(last.emitted_at), ", ", userLink(last.user_id), `, rule ${last.rule}`]
        : ["in the time Kafka keeps anomalies"]),
    ),
    fact("Clicks", `${rate(clicks)} a second`, "of all workers"),
    watcher,
  ];
}

function showVerdict() {
  const { verdict, live_total, health } = answer;
  const state = stateNow();
  byId("verdict").dataset.state = state;
  byId("verdict").setAttribute("aria-busy", "false");
  fill(byId("lamp"), state, lamp);
  fill(
    byId("headline"),
    [state, connected, live_total, worst()?.user_id, health.blindness?.share, hidden(), lost()],
    () => headline(state),
  );
  fill(byId("story"), [state, connected, worst(), verdict.text, hidden(), answer.aside_total], () => story(state));
  fill(
    byId("facts"),
    {
      state,
      incident: worst(),
      last: [...found.values()].findLast((each) => !isAside(each)),
      trouble: health.impaired,
      duty: duty(health),
      clicks: health.clicks_per_second,
      isHeard: connected,
    },
    facts,
  );
  announce(state);
  if (connected)
    notice(health.kafka === "away" ? `Kafka does not answer: ${health.detail}. What is shown was known before.` : "");
}

const line = (name, ...text) => element("div", {}, element("dt", {}, name), element("dd", {}, ...text));

function complaint({ detail, example, cure }) {
  return [
    ...(cure ? [line("What to do", cure)] : []),
    ...(example ? [line("For example", element("code", {}, example))] : []),
    ...(detail ? [line("Its fault", detail)] : []),
  ];
}

const warning = (...text) => element("li", { className: "warning" }, ...text);

const finding = ({ consequence, cure, command }) =>
  warning(
    consequence,
    element(
      "span",
      { className: "cure" },
      command ? `${cure}: ` : `${cure}.`,
      ...(command ? [element("code", {}, command)] : []),
    ),
  );

function showBlindness() {
  const { blindness, warnings, findings } = answer.health;
  byId("blindness").hidden = !blindness;
  byId("warnings").hidden = !warnings.length && !findings.length;
  if (blindness) {
    write(byId("blindness-summary"), `${blindness.summary}.`);
    fill(byId("complaint"), blindness.complaint, complaint);
  }
  offer(Boolean(blindness));
  fill(byId("warnings"), [findings, warnings], () => [
    ...findings.map(finding),
    ...warnings.map((text) => warning(text)),
  ]);
}

const timeline = new Timeline(byId("timeline"));
const incidents = new Rows(byId("incidents"), "li", "incident_id", incident);
const aside = new Rows(byId("aside-incidents"), "li", "incident_id", incident);
const log = new Rows(byId("log"), "li", "alert_id", (each) => [
  at(each.emitted_at),
  status(each),
  element("span", { className: "who" }, userLink(each.user_id), ...marks(each)),
  element(
    "span",
    { className: "what" },
    ...(each.scored
      ? [figure(each.scored.score), element("small", {}, recordLink(each.alert_id, "score"))]
      : [number(each.count), element("small", {}, crossing(each) || range(each.count_low, each.count_high))]),
  ),
  ruleLink(each.rule),
]);

const marked = (each) => ({ ...each, muted: answer.muted[each.incident_id] });

const showTimeline = () => timeline.show(answer.timeline);

function showIncidents() {
  const { live, live_total } = answer;
  byId("attacks").hidden = !live.length;
  fill(byId("attacks-head"), "head", () => head("User", "Count in the window", "scale", "By window", ""));
  write(
    byId("attacks-shown"),
    live_total > live.length ? `the worst ${live.length} of ${number(live_total)}` : number(live_total),
  );
  return incidents.show(live.slice(0, ROWS).map(marked), AT_ONCE);
}

function showAside() {
  const { aside: shown, aside_total } = answer;
  byId("aside").hidden = !shown.length;
  write(
    byId("aside-shown"),
    aside_total > shown.length ? `the first ${shown.length} of ${number(aside_total)}` : number(aside_total),
  );
  return aside.show(shown.slice(0, ROWS).map(marked), AT_ONCE);
}

function showLog() {
  byId("empty").hidden = !looked || found.size > 0;
  write(
    byId("empty"),
    answer.health.blindness || hidden() || lost()
      ? "Nobody who can be seen has gone over a threshold yet."
      : "Nobody has gone over a threshold yet. Whoever does shows here within a second.",
  );
  return log.show([...found.values()].reverse().slice(0, LINES), AT_ONCE);
}

const showHealth = () => showWatcher(answer);

const ALL = [showVerdict, showBlindness, showTimeline, showIncidents, showAside, showLog, showHealth];

let announced = { state: "", at: -Infinity };

// For who listens: a change of state at once, other changes now and then.
function announce(state) {
  if (state === announced.state && (state !== "attack" || performance.now() - announced.at < QUIET_FOR)) return;
  announced = { state, at: performance.now() };
  write(
    byId("announcement"),
    `${byId("headline").textContent}. ${["attack", "blind"].includes(state) ? byId("story").textContent : ""}`,
  );
}

// What the stream says once a second comes too late for a verdict that has just changed.
function hasten(record) {
  const { status } = record;
  const { state } = answer?.verdict ?? {};
  if (isAside(record) && status === "ongoing") return;
  if (
    (state === "quiet" && status === "ongoing") ||
    (state === "attack" && status === "closed" && answer.live_total <= 1)
  ) {
    hastened ??= setTimeout(() => {
      hastened = null;
      ask();
    }, FRESH);
  }
}

let hastened = null;

const ask = follow({
  first: JSON.parse(byId("first").textContent),
  now(content) {
    const isFirst = !answer;
    answer = content;
    connected = true;
    entitle();
    if (isFirst) [showVerdict, showBlindness].forEach((part) => part());
    draw(...ALL);
  },
  anomaly(record) {
    note(record);
    hasten(record);
    draw(showLog);
  },
  reset: lookBack,
  disconnected() {
    connected = false;
    if (answer) {
      entitle();
      draw(showVerdict);
    } else write(byId("story"), "The worker does not answer. Trying again…");
  },
});
lookBack();
