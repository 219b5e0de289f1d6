// What people say of an incident: what stands, the form that says it, and the entry of the allow-list that may follow.

import { Refused, send } from "./connection.js";
import { byId, element, write } from "./element.js";
import { plural, visible } from "./text.js";
import { moment, present } from "./time.js";

// A worker has Kafka take it, which may be busy.
const PATIENCE = 30_000;
// A snooze until a time that is over is none.
const OVER = "1970-01-01T00:00:00Z";

const dialog = byId("feedback");
const form = byId("say");
const proposal = byId("allow");
const { human, bot, snooze, wake, span, why, cancel } = form.elements;
const { reason, until, allow, leave } = proposal.elements;

let about = null;
let proposed = null;
let done = () => {};

const aside = (...children) => element("span", { className: "aside" }, ...children);
const verdicts = { human: () => aside("human"), bot: () => element("span", { className: "said" }, "bot") };

// What stands of an incident, as marks.
export function stands(said) {
  if (!said) return [];
  const { feedback, until: end, meanwhile } = said;
  const marks = feedback?.verdict ? [verdicts[feedback.verdict]()] : [];
  if (end)
    marks.push(aside("snoozed until ", moment(end), meanwhile ? `, ${plural(meanwhile, "incident")} so far` : ""));
  if (feedback?.why) marks.push(element("small", {}, ...visible(feedback.why)));
  if (feedback) marks.push(element("small", {}, "said ", moment(feedback.when), " by ", ...visible(feedback.who)));
  return [element("div", {}, ...marks)];
}

function fault(name, text) {
  const place = byId(`${name}-fault`);
  write(place, text);
  place.hidden = !text;
}

function tell(...words) {
  byId("noted").hidden = false;
  byId("noted").replaceChildren(...words);
}

// Have somebody say what an incident was; `then` is called when something was noted.
export function say(incident, said, then) {
  about = incident;
  done = then;
  form.reset();
  why.value = said?.feedback?.why ?? "";
  wake.hidden = !said?.until;
  write(
    byId("feedback-about"),
    `Rule ${incident.rule}, ${plural(incident.windows, "window")}, ${incident.severity} severity`,
  );
  fault("say", "");
  byId("noted").hidden = true;
  show(form);
  dialog.showModal();
}

function show(shown) {
  for (const each of [form, proposal]) each.hidden = each !== shown;
  dialog.setAttribute("aria-labelledby", shown === form ? "feedback-title" : "allow-title");
}

// What the worker answers; nothing is pressed twice meanwhile.
async function attempt(name, path, content) {
  const buttons = dialog.querySelectorAll("button");
  fault(name, "");
  for (const button of buttons) button.disabled = true;
  try {
    return await send("POST", path, content, PATIENCE);
  } catch (error) {
    const lost = "No connection to the worker. Whether it was noted is shown with the incident; then try again.";
    fault(name, error instanceof Refused ? error.message : lost);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

async function note(verdict, end) {
  const content = { verdict, why: why.value, ...(end && { until: end }) };
  const answer = await attempt("say", `/api/v1/feedback/${encodeURIComponent(about.incident_id)}`, content);
  if (!answer) return;
  tell(answer.already ? "This stood already: " : "Noted: ", ...stands(answer));
  done();
  proposed = verdict === "human" ? answer.proposal : null;
  if (proposed) propose();
  else dialog.close();
}

function propose() {
  reason.value = proposed.reason;
  until.value = proposed.until.slice(0, 10);
  byId("allow-command").replaceChildren(...visible(proposed.command));
  fault("allow", "");
  show(proposal);
  allow.focus();
}

human.addEventListener("click", () => note("human"));
bot.addEventListener("click", () => note("bot"));
wake.addEventListener("click", () => note("snooze", OVER));
snooze.addEventListener("click", () => note("snooze", new Date(present() + 1000 * span.value).toISOString()));
form.addEventListener("submit", (event) => event.preventDefault());
proposal.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = { entry: { user: proposed.user_id }, reason: reason.value, until: `${until.value}T00:00:00Z` };
  const change = await attempt("allow", "/api/v1/allow", content);
  if (!change) return;
  dialog.close();
  tell(`Change ${change.number}: `, ...visible(change.what), ".");
});
for (const button of [cancel, leave]) button.addEventListener("click", () => dialog.close());
// The button that opened it may have been made anew since.
dialog.addEventListener("close", () => byId("noted").hidden || byId("noted").focus());
