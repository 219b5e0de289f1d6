// Who may go over thresholds, what they did meanwhile, and the form that allows somebody.

import { poll, Refused, send } from "./connection.js";
import { byId, element, fill, Rows, write } from "./element.js";
import { number, plural, userId, userLink, visible } from "./text.js";
import { at, moment, since } from "./time.js";

// A worker has Kafka take the change, which may be busy; until all partitions have, it is asked for so often.
const PATIENCE = 30_000;
const SOON = 500;
const LIMIT = 50;
// Of so many who were allowed together, each can be taken off alone.
const ALONE = 20;

const KINDS = { users: "user", prefixes: "prefix", networks: "network" };
const WORDS = { user: "user ", prefix: "ids that begin with ", network: "addresses in " };

const form = byId("allow");
const { kind, whom, reason, until, save } = form.elements;
const faults = { whom, reason, until, allow: null };
const cursor = [...new URLSearchParams(location.search)].filter(([name]) => name === "cursor");

// The change that was made here, until it is in force everywhere.
let made = null;

function forget() {
  for (const [name, field] of Object.entries(faults)) {
    byId(`${name}-fault`).hidden = true;
    field?.removeAttribute("aria-invalid");
  }
}

function refuse(field, words) {
  const name = field === "entry" || Object.values(KINDS).includes(field) ? "whom" : field;
  const place = name in faults ? name : "allow";
  write(byId(`${place}-fault`), words);
  byId(`${place}-fault`).hidden = false;
  faults[place]?.setAttribute("aria-invalid", "true");
  faults[place]?.focus();
}

function tell(words) {
  byId("revised").hidden = false;
  fill(byId("revised"), [made.number, words], () => [`Change ${made.number}: `, ...visible(made.what), `. ${words}.`]);
}

async function change(method, path, content) {
  forget();
  save.disabled = true;
  try {
    made = await send(method, path, content, PATIENCE);
    tell("The workers take it up");
    byId("revised").focus();
    ask();
    return true;
  } catch (error) {
    if (error instanceof Refused) refuse(error.answer.field ?? "", error.message);
    else refuse("", "No connection to the worker. Whether it was changed is in the list below; then try again.");
    return false;
  } finally {
    save.disabled = false;
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const expiry = until.value ? { until: new Date(until.value).toISOString() } : {};
  const wanted = { entry: { [kind.value]: whom.value }, reason: reason.value, ...expiry };
  if (await change("POST", "/api/v1/allow", wanted)) form.reset();
});

const remove = (name, query, words) =>
  element(
    "button",
    {
      type: "button",
      className: "second",
      onclick: () => change("DELETE", `/api/v1/allow?${new URLSearchParams(query)}`, {}),
    },
    name,
    element("span", { className: "unseen" }, ` ${words}`),
  );

const entries = (group) =>
  Object.entries(KINDS).flatMap(([names, single]) => group[names].map((name) => ({ single, name })));

const entry = (one, alone) =>
  element(
    "li",
    {},
    WORDS[one.single],
    one.single === "user" ? userLink(one.name) : userId(one.name),
    " ",
    ...(alone ? [remove("Remove", { [one.single]: one.name }, `${one.single} ${one.name}`)] : []),
  );

function did(group) {
  if (!group.anomalies) return ["Nothing that would have been told is known of them."];
  return [
    `${plural(group.anomalies, "anomaly", "anomalies")} of ${plural(group.people, "user")} told to nobody, the last `,
    since(group.newest),
    group.ongoing ? `; ${number(group.ongoing)} now` : "",
  ];
}

const groups = new Rows(byId("groups"), "li", "key", (group) => {
  const shown = entries(group);
  const alone = group.total <= ALONE;
  return [
    element(
      "h2",
      {},
      ...visible(group.reason),
      alone ? "" : remove("Remove all", { reason: group.reason }, group.reason),
    ),
    element("ul", { className: "entries" }, ...shown.map((one) => entry(one, alone))),
    ...(group.total > shown.length
      ? [element("p", { className: "note" }, `and ${number(group.total - shown.length)} more`)]
      : []),
    element("p", {}, ...did(group)),
    element(
      "p",
      { className: group.expired ? "warning" : "about" },
      group.until ? [group.expired ? "Expired " : "Until ", moment(group.until)].join("") : "For ever",
      ` · change ${group.change} · `,
      at(group.when),
      " · ",
      ...visible(group.who),
    ),
  ];
});

function show({ groups: found, total, next, waiting, trouble }) {
  groups.show(found.map((group) => ({ ...group, key: `${group.change} ${group.until} ${group.reason}` })));
  byId("empty").hidden = total > 0;
  write(byId("empty"), "Nobody is allowed to go over a threshold.");
  byId("warnings").replaceChildren(...(trouble ? [element("p", { className: "warning" }, trouble)] : []));
  byId("newest").hidden = !cursor.length;
  byId("older").hidden = !next;
  byId("older").href = `/allowed?${new URLSearchParams({ cursor: next ?? "" })}`;
  if (!made) return;
  if (waiting.length) {
    tell(`${plural(waiting.length, "partition")} to follow`);
    setTimeout(ask, SOON);
  } else {
    tell("In force in all partitions");
    made = null;
  }
}

const ask = poll(`/api/v1/allow?${new URLSearchParams([...cursor, ["limit", LIMIT]])}`, 3000, show);
