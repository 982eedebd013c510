// The same messages on several paths, side by side: which path holds them?

import { ArrivalChart } from "./arrival_chart.js";
import { Column } from "./column.js";
import { phrase, say } from "./text.js";
import { whenSeen } from "./when_seen.js";
import { testid } from "./web/dom.js";

// `holding` is the origin of the hop that compresses and never flushes.
const PATHS = [
  { name: "held", live: false, url: (holding) => holding && `${holding}/held/events` },
  { name: "unbuffered", live: true, url: () => "/sse/events" },
  {
    name: "behind",
    live: true,
    optional: true,
    url: (holding) => holding && `${holding}/held-before/events`,
  },
];

class Comparison {
  #columns;
  #used = [];
  #chart;
  #runs = 0;

  constructor(template, svg) {
    this.#chart = new ArrivalChart(svg);
    this.#columns = PATHS.map(
      (path, index) =>
        new Column(path, template, (kind, time) => this.#chart[kind](index, time)),
    );
  }

  /** Lay out all columns in `grid` again, empty. */
  lay(grid, withOptional) {
    this.#runs += 1;
    this.#columns.forEach((column) => column.clear());
    this.#used = PATHS.filter((path) => withOptional || !path.optional);
    const shown = this.#columns.slice(0, this.#used.length);
    grid.replaceChildren(...shown.map((column) => column.element));
    grid.dataset.columns = shown.length;
    this.#chart.begin(
      this.#used.map(({ name, live }) => ({
        live,
        name: () => phrase(`${name}.lane`),
      })),
    );
  }

  start(holding) {
    const startedAt = performance.now();
    this.#used.forEach((path, index) => {
      this.#columns[index].start(path.url(holding), startedAt);
    });
    this.#follow(startedAt);
  }

  redraw() {
    this.#chart.draw();
  }

  // Runs until every column is done, or until a newer run takes over.
  #follow(startedAt) {
    const run = this.#runs;
    const calm = matchMedia("(prefers-reduced-motion: reduce)");
    let shown = -1;
    const frame = () => {
      const running = this.#columns.some((column) => column.running);
      if (run !== this.#runs || !running) return;
      const time = performance.now() - startedAt;
      const step = calm.matches ? Math.floor(time / 1000) : time;
      if (step !== shown) {
        shown = step;
        this.#columns.forEach((column) => column.tick(time));
        this.#chart.advance(time);
      }
      requestAnimationFrame(frame);
    };
    frame();
  }
}

/** `settings` is a promise of what /settings.json says. */
export function setUpComparison(settings) {
  const find = (selector) => document.querySelector(selector);
  const start = testid("start");
  const third = testid("third");
  const grid = find(".columns");
  const comparison = new Comparison(find("#column"), find(".arrival-chart"));

  let hasBegun = false;

  const begin = async () => {
    hasBegun = true;
    const { holding } = await settings;
    say(start, "restart");
    comparison.lay(grid, third.checked);
    comparison.start(holding);
  };
  comparison.lay(grid, third.checked);
  const leaveIt = whenSeen(grid, begin);
  start.addEventListener("click", () => {
    leaveIt();
    begin();
  });
  third.addEventListener("change", () => {
    leaveIt();
    if (hasBegun) begin();
    else comparison.lay(grid, third.checked);
  });
  document.addEventListener("languagechange", () => comparison.redraw());
}
