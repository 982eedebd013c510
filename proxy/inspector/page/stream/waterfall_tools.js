// The controls above the waterfall: its legend, stall threshold and time range.

import { make } from "../web/dom.js";
import { phrase } from "../web/language.js";

const WINDOWS = [
  ["0", "All"],
  ["60", "60 s"],
  ["10", "10 s"],
];
const STALLS = [0.25, 0.5, 1, 2, 5, 10, 30];

/** `changed` is called with {window} or {stall}, in seconds. */
export function waterfallTools(changed, stall) {
  const windows = WINDOWS.map(([value, label]) =>
    make("label", {}, make("input", { type: "radio", name: "window", value, checked: value === "0" }), make("span", {}, phrase(label))),
  );
  const range = make("fieldset", { class: "choice", "data-testid": "window" });
  range.append(make("legend", { class: "visually-hidden" }, phrase("Time range")), ...windows);
  range.addEventListener("change", (event) => changed({ window: Number(event.target.value) }));
  const options = STALLS.map((seconds) =>
    make("option", { value: String(seconds), selected: seconds === stall }, `${seconds} s`),
  );
  const least = make("select", { "data-testid": "stall" }, ...options);
  least.addEventListener("change", () => changed({ stall: Number(least.value) }));
  return make(
    "div",
    { class: "drawing-tools" },
    make(
      "p",
      { class: "legend" },
      legend("response", phrase("response piece")),
      legend("request", phrase("request piece")),
      legend("held", phrase("held")),
      legend("stalled", phrase("stall")),
      legend("quiet", phrase("silence")),
    ),
    make("label", { class: "pick soft" }, `${phrase("Stall threshold")} `, least),
    range,
  );
}

function legend(kind, text) {
  return make("span", { class: `of-${kind}` }, make("i", { class: `key ${kind}`, "aria-hidden": "true" }), text);
}
