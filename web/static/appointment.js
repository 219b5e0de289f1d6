// Putting a model in charge: the form, and what the worker's checks say of it.

import { get, Refused, send } from "./connection.js";
import { byId, element, write } from "./element.js";
import { plural } from "./text.js";

// A worker has Kafka take the change, which may be busy.
const PATIENCE = 30_000;

const dialog = byId("appointment");
const form = byId("appoint");
const title = byId("appointment-title");
const words = byId("appointment-words");
const faults = { why: byId("why-fault"), appointment: byId("appointment-fault") };
const { why, save, cancel } = form.elements;

// The pipeline as it is known, what is to be done with it, and who is told when it was.
let pipeline = null;
let action = null;
let done = () => {};

// Whether a promotion or a rollback: to whom, and what it is called.
export const promotion = (version) => ({ path: "promote", version: () => version, name: "Promote" });
export const rollback = { path: "rollback", version: ({ former }) => former, name: "Roll back" };

function describe() {
  const version = action.version(pipeline);
  const champion = pipeline.models.find(({ role }) => role === "champion")?.version;
  const beside = pipeline.challengers.filter((each) => each.version !== version);
  title.replaceChildren(
    `${action.name} ${action === rollback ? `${pipeline.pipeline} to` : ""} `,
    element("code", {}, version || "nobody"),
  );
  write(
    words,
    [
      champion ? `${champion} is in charge of ${pipeline.pipeline} now, and leaves.` : "Nobody is in charge now.",
      beside.length ? `${plural(beside.length, "challenger")} will be beside the new champion, and compared anew.` : "",
      "Workers take it up within 2 seconds.",
    ].join(" "),
  );
  write(save, action.name);
}

function forget() {
  for (const fault of Object.values(faults)) {
    write(fault, "");
    fault.hidden = true;
  }
  why.removeAttribute("aria-invalid");
}

function tell(field, text) {
  const place = field in faults ? field : "appointment";
  write(faults[place], text);
  faults[place].hidden = false;
  if (place === "why") why.setAttribute("aria-invalid", "true");
  (place === "why" ? why : save).focus();
}

// Have somebody change who is in charge of a pipeline; `made` is given the change, and whose it is.
export function appoint(known, wanted, made) {
  [pipeline, action, done] = [known, wanted, made];
  form.reset();
  forget();
  describe();
  dialog.showModal();
  why.focus();
}

async function explain(error) {
  if (!(error instanceof Refused)) {
    tell("", "No connection to the worker. Whether it was changed is in the changes of the models; then try again.");
    return;
  }
  // Who was second sees what it is now, and decides anew.
  const now = error.status === 409 && (await get("/api/v1/pipelines"));
  const found = now && now.find((each) => each.pipeline === pipeline.pipeline);
  if (found) {
    pipeline = found;
    describe();
  }
  tell(error.answer.field ?? "", error.message);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  forget();
  const version = action === rollback ? {} : { version: action.version(pipeline) };
  const wanted = { ...version, edition: pipeline.edition, why: why.value };
  const controls = [why, save, cancel];
  let refusal;
  for (const control of controls) control.disabled = true;
  try {
    const change = await send("POST", `/api/v1/pipelines/${pipeline.pipeline}/${action.path}`, wanted, PATIENCE);
    dialog.close();
    done(change, pipeline.pipeline);
    return;
  } catch (error) {
    refusal = error;
  } finally {
    for (const control of controls) control.disabled = false;
  }
  await explain(refusal).catch(() => tell("", refusal.message));
});
cancel.addEventListener("click", () => dialog.close());
// What is being saved cannot be taken back.
dialog.addEventListener("cancel", (event) => cancel.disabled && event.preventDefault());
dialog.addEventListener("close", () => {
  // The button that opened it may have been made anew since.
  if (document.activeElement === document.body) byId(`pipeline-${pipeline.pipeline}`)?.querySelector("button")?.focus();
});
why.addEventListener("input", forget);
