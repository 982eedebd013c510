// What a record says that it does not know, in words: those of proxy/record/format.py.

import { counted, phrase } from "../web/language.js";

const WORDS = {
  times: "when each piece came",
  splits: "how the bytes were split",
  bytes: "the exact bytes",
  body: "the response body",
  "request body": "the request body",
  coding: "the body as it was sent, with its content coding",
  framing: "how the length of the body was known",
  frames: "the frames of the WebSocket",
  "head time": "when the response head came",
  pieces: "some of the pieces",
  ids: "the events without the ids of the proxy",
};

/** One sentence or two; "" if all is known. */
export function unknownOf({ unknown, dropped }) {
  const known = unknown.map((each) => phrase(WORDS[each] ?? each));
  const parts = known.length ? [phrase("This file does not say: {0}.", known.join(phrase("; ")))] : [];
  if (dropped) parts.push(counted(dropped, "{0} line could not be recorded.", "{0} lines could not be recorded."));
  return parts.join(" ");
}
