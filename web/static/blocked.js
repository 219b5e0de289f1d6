// Who is blocked until when, and why; or how that is turned on.

import { poll } from "./connection.js";
import { byId, element, fill, Rows, write } from "./element.js";
import { plural, ruleLink, userLink, visible } from "./text.js";
import { at, since } from "./time.js";

const ANEW = 3000; // milliseconds
const SHOWN = 500;

const cell = (...content) => element("td", {}, ...content);

// An address that was written in another way is shown as it is blocked, too.
const who = ({ user_id, scope, value }) =>
  scope === "Username" || user_id === value
    ? [userLink(user_id)]
    : [userLink(user_id), element("small", {}, " ", ...visible(value))];

const blocks = new Rows(byId("blocked"), "tr", "key", (each) => [
  cell(...who(each)),
  cell(at(each.until)),
  cell(`${each.severity}, `, ruleLink(each.rule)),
  element("td", { className: "number" }, String(each.times)),
  cell(at(each.since)),
]);

const bouncers = new Rows(byId("bouncers"), "li", "key", ({ type, version, address, asked }) => [
  element("span", { className: "name" }, ...visible(type)),
  element("span", {}, ...visible(version)),
  element("span", {}, `from ${address}`),
  element("span", { className: "note" }, "asked ", since(asked)),
]);

const story = ({ state, detail, severity, blocks: { length } }) => {
  if (state === "off") return `${detail}.`;
  const whom = `Blocked is who has an incident of severity ${severity} or more`;
  return length ? `${whom}, until some time after the last click.` : `Nobody is blocked. ${whom}.`;
};

function show(answer) {
  const isOn = answer.state === "live";
  write(byId("story"), story(answer));
  byId("exports").hidden = !isOn;
  byId("bouncers-section").hidden = !isOn;
  byId("blocked-scrolls").hidden = !answer.blocks.length;
  const [all, shown] = [answer.blocks.length, answer.blocks.slice(0, SHOWN)];
  write(byId("shown"), all > SHOWN ? `${SHOWN} of ${plural(all, "block")}` : plural(all, "block"));
  fill(byId("left-out"), answer.left_out, (left) => left.map((words) => element("li", {}, `Left out: ${words}.`)));
  blocks.show(shown.map((each) => ({ ...each, key: `${each.scope}:${each.value}` })));
  byId("no-bouncers").hidden = answer.bouncers.length > 0;
  bouncers.show(
    answer.bouncers.map((each, place) => ({ ...each, key: `${place} ${each.address} ${each.type} ${each.version}` })),
  );
}

poll("/api/v1/blocklist", ANEW, show);
