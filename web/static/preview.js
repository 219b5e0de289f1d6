// What a change would have done in the last hour, as it is tried on the topic's history.

import { send } from "./connection.js";
import { element } from "./element.js";
import { number, plural, userLink } from "./text.js";

// The worker ends it before.
const PATIENCE = 120_000;
// Users named of each kind.
const NAMED = 5;

function person(found) {
  const link = userLink(found.user_id);
  link.target = "_blank"; // what is in the form stays there
  const count = element("span", { className: "number" }, `${number(found.count)} of ${number(found.threshold)}`);
  return element("li", {}, link, count);
}

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

const NONE = { new: 0, gone: 0, before: { messages: 0 }, draft: { messages: 0 } };

function result(found, name) {
  if (!found.clicks) return [element("p", {}, "No clicks came in the last hour: there is nothing to try it on.")];
  const rule = found.rules.find((one) => one.rule === name) ?? NONE;
  const of = (cases) => cases.filter((one) => one.rule === name);
  const note = element(
    "p",
    { className: "note" },
    `${plural(found.clicks, "click")} were counted again${found.partial ? ", in windows that began since" : ""}; `,
    "nothing is changed yet.",
  );
  if (!rule.new && !rule.gone && rule.before.messages === rule.draft.messages)
    return [element("p", {}, "In the last hour it would have told the same."), note];
  return [
    element(
      "p",
      {},
      `In the last hour it would have sent ${plural(rule.draft.messages, "message")}${unheard(rule.draft)} in place of `,
      `${number(rule.before.messages)}${unheard(rule.before)}.`,
    ),
    ...people("Reported that were not", of(found.newest), rule.new),
    ...people("Reported no longer", of(found.lost), rule.gone),
    note,
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
