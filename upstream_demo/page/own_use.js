// The commands for one's own back end, on the port that this page has.
//
// The demo takes another one where 8080 is in use; when it has ended, that one is free.

import { say } from "./text.js";
import { testid } from "./web/dom.js";

const USUAL = "8080"; // what `serve` listens on unasked

export function setUpOwnUse(port = location.port || USUAL) {
  for (const key of ["own.lead", "own.route.lead", "own.file.lead"]) {
    say(document.querySelector(`[data-text="${key}"]`), key, port);
  }
  if (port === USUAL) return;
  testid("own-route").append(` --port ${port}`);
  testid("own-file").prepend(`[server]\nport = ${port}\n\n`);
}
