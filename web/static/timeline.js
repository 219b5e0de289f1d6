// The last hour, or what there is of it: clicks a second as an area, anomalies as bars beneath, and a cursor
// for one moment.

import { byId, svg, write } from "./element.js";
import { number, plural, rate, sum } from "./text.js";
import { minute, moment, present } from "./time.js";

// What is shown, and the distance of its labels: the shortest that holds all points.
const MINUTE = 60_000;
const SPANS = [
  [10 * MINUTE, 2 * MINUTE],
  [30 * MINUTE, 5 * MINUTE],
  [60 * MINUTE, 10 * MINUTE],
];
const [ABOVE, CLICKS, GAP, ANOMALIES, BELOW] = [14, 78, 8, 26, 18];
const BASE = ABOVE + CLICKS;
const FLOOR = BASE + GAP + ANOMALIES;

const anomalies = (count) => plural(count, "anomaly", "anomalies");
const told = (count, aside) => `${anomalies(count)}${aside ? ` · ${number(aside)} told to nobody` : ""}`;

export class Timeline {
  #points = [];
  #chosen = null; // time of the moment the cursor is at; null: none
  #width = 0;
  #span = SPANS.at(-1)[0];

  constructor(node) {
    this.node = node;
    this.picture = svg("svg", { height: FLOOR + BELOW, "aria-hidden": "true" });
    node.replaceChildren(this.picture);
    new ResizeObserver(([{ contentRect }]) => {
      this.#width = contentRect.width;
      this.#draw();
    }).observe(node);
    node.addEventListener("pointermove", (event) => this.#choose(this.#near(event.offsetX)));
    node.addEventListener("pointerleave", () => this.#choose(null));
    node.addEventListener("blur", () => this.#choose(null));
    node.addEventListener("keydown", (event) => this.#press(event));
  }

  // `points`: {time, clicks_per_second, anomalies, aside}, each `step` seconds long, oldest first.
  show({ step, points }) {
    this.step = 1000 * step;
    this.#points = points.map((point) => ({ ...point, time: Date.parse(point.time) }));
    this.#draw();
  }

  #near(x) {
    const time = present() - this.#span * (1 - x / this.#width);
    const distance = (point) => Math.abs(point.time - time);
    const nearest = this.#points.reduce(
      (best, point) => (!best || distance(point) < distance(best) ? point : best),
      null,
    );
    return nearest?.time ?? null;
  }

  #press(event) {
    const last = this.#points.length - 1;
    const here = this.#chosen === null ? last : this.#points.findIndex((point) => point.time === this.#chosen);
    const there = {
      ArrowLeft: here - 1,
      ArrowRight: here + 1,
      PageUp: here - 30,
      PageDown: here + 30,
      Home: 0,
      End: last,
    }[event.key];
    if (event.key === "Escape") this.#choose(null);
    if (there === undefined || last < 0) return;
    event.preventDefault();
    this.#choose(this.#points[Math.min(last, Math.max(0, there))].time);
  }

  #choose(time) {
    if (time === this.#chosen) return;
    this.#chosen = time;
    this.#draw();
  }

  #draw() {
    const end = present();
    const [span, labels] = SPANS.find(([length]) => this.#points[0]?.time > end - length) ?? SPANS.at(-1);
    const begin = end - span;
    this.#span = span;
    const points = this.#points.filter((point) => point.time > begin);
    const index = points.findIndex((point) => point.time === this.#chosen);
    const point = points[index] ?? points.at(-1);
    this.#say(point, index >= 0);
    this.node.setAttribute("aria-valuemax", Math.max(0, points.length - 1));
    this.node.setAttribute("aria-valuenow", index >= 0 ? index : Math.max(0, points.length - 1));
    if (!this.#width) return;

    const x = (time) => Math.round((10 * this.#width * (time - begin)) / span) / 10;
    const top = Math.max(1, ...points.map((each) => each.clicks_per_second ?? 0));
    const most = Math.max(1, ...points.map((each) => each.anomalies + each.aside));
    const y = (clicks) => Math.round(10 * (BASE - (CLICKS * clicks) / top)) / 10;
    const runs = [];
    for (const each of points.filter((some) => some.clicks_per_second !== null)) {
      const run = runs.at(-1);
      if (run && each.time - run.at(-1).time <= 2 * this.step) run.push(each);
      else runs.push([each]);
    }
    const along = (run) => run.map((each) => `${x(each.time)} ${y(each.clicks_per_second)}`).join("L");
    const ticks = [];
    for (let time = Math.ceil(begin / labels) * labels; time <= end; time += labels) ticks.push(time);
    const shown = ticks.filter(
      (time) => x(time) > 20 && x(time) < this.#width - 20 && (this.#width > 500 || time % (2 * labels) === 0),
    );
    const wide = Math.min(6, Math.max(2, (this.#width * this.step) / span - 1));

    write(byId("hour-title"), span === SPANS.at(-1)[0] ? "The last hour" : `The last ${span / MINUTE} minutes`);
    this.picture.setAttribute("width", this.#width);
    this.picture.replaceChildren(
      ...ticks.map((time) => svg("line", { x1: x(time), x2: x(time), y1: ABOVE, y2: FLOOR, class: "grid" })),
      ...shown.map((time) => svg("text", { x: x(time), y: FLOOR + 14, "text-anchor": "middle" }, minute(time))),
      ...runs.map((run) =>
        svg("path", {
          d: `M${x(run[0].time)} ${BASE}L${along(run)}L${x(run.at(-1).time)} ${BASE}Z`,
          class: "area",
        }),
      ),
      ...runs.map((run) => svg("path", { d: `M${along(run)}`, class: "edge" })),
      svg("line", { x1: 0, x2: this.#width, y1: BASE, y2: BASE, class: "base" }),
      svg("line", { x1: 0, x2: this.#width, y1: FLOOR, y2: FLOOR, class: "base" }),
      ...points.flatMap((each) => {
        // Hollow behind: all; filled before: those that are told of.
        const bar = (count, name) => {
          const height = Math.max(5, ANOMALIES * Math.sqrt(count / most));
          return svg("rect", { x: x(each.time) - wide / 2, width: wide, y: FLOOR - height, height, class: name });
        };
        return [
          ...(each.aside ? [bar(each.anomalies + each.aside, "anomalies hollow")] : []),
          ...(each.anomalies ? [bar(each.anomalies, "anomalies")] : []),
        ];
      }),
      svg("text", { x: 0, y: ABOVE - 4 }, points.length ? `up to ${rate(top)} clicks a second` : ""),
      ...(points.some((each) => each.anomalies + each.aside)
        ? [svg("text", { x: this.#width, y: ABOVE - 4, "text-anchor": "end" }, `bars: up to ${anomalies(most)}`)]
        : []),
      ...(index >= 0
        ? [svg("line", { x1: x(point.time), x2: x(point.time), y1: ABOVE, y2: FLOOR, class: "cursor" })]
        : []),
    );
  }

  #say(point, chosen) {
    if (!point) {
      write(byId("readout"), "nothing measured yet");
      this.node.setAttribute("aria-valuetext", "nothing measured yet");
      return;
    }
    const clicks = point.clicks_per_second === null ? "not measured" : `${rate(point.clicks_per_second)} clicks/s`;
    const when = moment(new Date(point.time).toISOString());
    const all = ["anomalies", "aside"].map((name) => sum(this.#points.map((each) => each[name])));
    write(
      byId("readout"),
      chosen
        ? `${when} · ${clicks} · ${told(point.anomalies, point.aside)}`
        : `${clicks} now · ${anomalies(all[0])} in all${all[1] ? ` · ${number(all[1])} told to nobody` : ""}`,
    );
    if (chosen || document.activeElement !== this.node)
      this.node.setAttribute("aria-valuetext", byId("readout").textContent);
  }
}
