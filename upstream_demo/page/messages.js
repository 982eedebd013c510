// A list of messages, each with the time at which it arrived.

import { show } from "./text.js";
import { make } from "./web/dom.js";
import { seconds } from "./web/quantities.js";

/** Append one message that arrived `time` milliseconds after the start. */
export function appendMessage(list, text, time) {
  const body = make("span");
  show(body, text);
  const stamp = make("time", {}, `${seconds(time / 1000)} s`);
  list.append(make("li", { "data-testid": "message" }, body, stamp));
}
