// What a change would have done in the last hour, as it is tried on the topic's history.

import { send } from "./connection.js";
import { element } from "./element.js";
import { number, plural, userLink } from "./text.js";

// The worker ends it before.
const PATIENCE = 120_000;
// Users named of each kind.
const NAMED = 5;

const person = (found) =>
  element(
    "li",
    {},
    userLink(found.user_id),
    element("span", { className: "number" }, `${number(found.count)} of ${number(found.threshold)}`),
  );

function people(title, cases, total) {
  if (!total) return [];
  const named = cases.slice(0, NAMED);
  return [
    element("h3", {}, `${title}: ${number(total)}`),
    element("ol", { className: "cases" }, ...named.map(person)),
    ...(total > named.length ? [element("p", { className: "note" }, `and ${number(total - named.length)} more`)] : []),
  ];
}

const unheard = (amount) => (amount.shadow ? `, and ${number(amount.shadow)} in shadow that nobody gets` : "");

function result(found, name) {
  const rule = found.rules.find((one) => one.rule === name);
  const of = (cases) => cases.filter((one) => one.rule === name);
  const clicks = plural(found.clicks, "click");
  if (!found.changed) {
    return [
      element("p", {}, "Nothing would have been told otherwise in the last hour."),
      element("p", { className: "note" }, `${clicks} were counted again.`),
    ];
  }
  return [
    element(
      "p",
      {},
      `In the last hour it would have sent ${plural(rule.draft.messages, "message")}${unheard(rule.draft)} in place of `,
      `${number(rule.before.messages)}${unheard(rule.before)}.`,
    ),
    ...people("Reported that were not", of(found.newest), rule.new),
    ...people("Reported no longer", of(found.lost), rule.gone),
    element("p", { className: "note" }, `${clicks} were counted again; nothing was changed.`),
  ];
}

export class Preview {
  #asking = null;

  constructor(place) {
    this.place = place;
  }

  // Have the worker try it, and show what it found; throws where it did not.
  async ask(path, content, name) {
    this.clear();
    const asking = (this.#asking = new AbortController());
    this.place.replaceChildren(element("p", { className: "note" }, "Counting the clicks of the last hour again…"));
    try {
      this.place.replaceChildren(...result(await send("POST", path, content, PATIENCE, asking.signal), name));
    } catch (error) {
      this.place.replaceChildren();
      throw error;
    }
  }

  // Show nothing, and take back what is asked.
  clear() {
    this.#asking?.abort();
    this.#asking = null;
    this.place.replaceChildren();
  }
}
