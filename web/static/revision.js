// Changing a rule: the form, and what the worker's checks say of what is in it.

import { get, load, Refused, send } from "./connection.js";
import { byId, element, write } from "./element.js";
import { Preview } from "./preview.js";
import { unit, visible } from "./text.js";

// A worker has Kafka take the change, which may be busy.
const PATIENCE = 30_000;

// Found at once: a row of the page may be given any rule's name for its id.
const dialog = byId("revision");
const form = byId("revise");
const title = byId("revision-title");
const words = byId("revision-words");
const thresholdNote = byId("threshold-note");
const failing = byId("failing");
const failingTests = byId("failing-tests");
const { threshold, enabled, shadow, why, save, foresee, cancel } = form.elements;
const faults = Object.fromEntries(
  ["threshold", "enabled", "shadow", "why", "revision"].map((field) => [field, byId(`${field}-fault`)]),
);
const preview = new Preview(byId("preview"));

let rule = null;
let edition = 0;
let done = () => {};

// What the form is to show of a field, and what it shows.
const fields = {
  threshold: { shown: () => threshold.valueAsNumber, show: (value) => (threshold.value = value) },
  enabled: { shown: () => enabled.checked, show: (value) => (enabled.checked = value) },
  shadow: { shown: () => shadow.checked, show: (value) => (shadow.checked = value) },
};

const chosen = () => [...failingTests.querySelectorAll(":checked")].map((box) => box.value);

function wanted() {
  const changed = Object.entries(fields).filter(([name, { shown }]) => shown() !== rule[name]);
  return {
    ...Object.fromEntries(changed.map(([name, { shown }]) => [name, shown()])),
    without: chosen(),
    why: why.value,
    edition,
  };
}

function forget(...names) {
  for (const name of names) {
    write(faults[name], "");
    faults[name].hidden = true;
    form.elements[name]?.removeAttribute("aria-invalid");
  }
}

function tell(field, text) {
  const place = field in faults ? field : "revision";
  write(faults[place], text);
  faults[place].hidden = false;
  form.elements[place]?.setAttribute("aria-invalid", "true");
  (form.elements[place] ?? save).focus();
}

// The tests that fail, to be done without; those that were chosen stay so.
function showTests(tests) {
  const before = chosen();
  const boxes = [...new Set([...before, ...tests.map(({ test }) => test)])].map((name) => {
    const fault = tests.find(({ test }) => test === name)?.fault;
    const box = element("input", { type: "checkbox", value: name, checked: before.includes(name) });
    return element(
      "label",
      {},
      box,
      " ",
      ...visible(name),
      ...(fault ? [element("small", {}, ...visible(fault))] : []),
    );
  });
  failingTests.replaceChildren(...boxes);
  failing.hidden = !boxes.length;
}

// Take over the rule as it is now; what was not touched is shown as it is.
function take(history, name) {
  const now = history.rules.find((known) => known.name === name);
  if (!now) return false;
  for (const [field, { shown, show }] of Object.entries(fields)) if (!rule || shown() === rule[field]) show(now[field]);
  rule = now;
  edition = history.changes[0].number;
  write(thresholdNote, `More ${unit(now.distinct)} than this in a window are an anomaly.`);
  title.replaceChildren("Change rule ", element("code", {}, name));
  write(words, `${now.words.charAt(0).toUpperCase()}${now.words.slice(1)}${now.enabled ? "" : "; switched off"}`);
  return true;
}

// Have somebody change the rule of that name; `saved` is given the change that was made.
export function revise(name, saved) {
  return load("/api/v1/rules/history", (history) => {
    rule = null;
    if (!take(history, name)) return;
    done = saved;
    form.reset();
    for (const [field, { show }] of Object.entries(fields)) show(rule[field]);
    forget(...Object.keys(faults));
    failingTests.replaceChildren();
    showTests([]);
    preview.clear();
    if (!dialog.open) dialog.showModal();
    threshold.select();
  });
}

async function explain(error) {
  if (!(error instanceof Refused)) {
    tell("revision", "No connection to the worker. Whether it was changed is in the changes below; then try again.");
    return;
  }
  const { field = "", tests = [] } = error.answer;
  if (tests.length) showTests(tests);
  if (error.status === 409) {
    const name = rule.name;
    if (!take(await get("/api/v1/rules/history"), name)) {
      tell("revision", `${error.message}. The rule is there no more.`);
      return;
    }
    preview.clear();
  }
  tell(field, error.message);
}

// While the worker is at it nothing is typed, which would not be what is saved.
async function busy(work, ...more) {
  const idle = [save, foresee, threshold, enabled, shadow, why, ...more];
  form.ariaBusy = true;
  for (const control of idle) control.disabled = true;
  try {
    return await work();
  } finally {
    form.ariaBusy = false;
    for (const control of idle) control.disabled = false;
  }
}

const path = () => `/api/v1/rules/${encodeURIComponent(rule.name)}`;

// What the worker answers to what is in the form; what is wrong with it is told.
async function attempt(ask, ...more) {
  forget(...Object.keys(faults));
  const content = wanted();
  try {
    return await busy(() => ask(content), ...more);
  } catch (error) {
    if (error.name !== "AbortError") {
      if (!dialog.open) dialog.showModal();
      await explain(error).catch(() => tell("revision", error.message));
    }
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const change = await attempt((content) => send("PATCH", path(), content, PATIENCE), cancel);
  if (!change) return;
  dialog.close();
  done(change);
});
foresee.addEventListener("click", async () => {
  if (!threshold.reportValidity()) return;
  const { name } = rule;
  await attempt((content) => preview.ask(`${path()}/preview`, content, name));
  if (dialog.open && document.activeElement === document.body) foresee.focus();
});
cancel.addEventListener("click", () => dialog.close());
// What is being saved cannot be taken back.
dialog.addEventListener("cancel", (event) => cancel.disabled && event.preventDefault());
dialog.addEventListener("close", () => {
  preview.clear();
  // The button that opened it may have been made anew since.
  if (document.activeElement === document.body) byId(rule.name)?.querySelector("button")?.focus();
});
form.addEventListener("input", ({ target }) => {
  if (target.name in faults) forget(target.name);
  preview.clear();
});
threshold.addEventListener("input", () => {
  failingTests.replaceChildren();
  showTests([]);
});
