// A list of messages, each with the time at which it arrived.

import { show } from "./text.js";
import { seconds } from "./verdict.js";

/** Append one message that arrived `time` milliseconds after the start. */
export function appendMessage(list, text, time) {
  const item = document.createElement("li");
  item.dataset.testid = "message";
  const body = document.createElement("span");
  show(body, text);
  const stamp = document.createElement("time");
  stamp.textContent = `${seconds(time, 3)} s`;
  item.append(body, stamp);
  list.append(item);
}
