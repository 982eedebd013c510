// What the client got of an exchange that failed, and what to do about it.

import { asText, concat, hexDump } from "../decode/bytes_text.js";
import { errorTitle } from "../ui/words.js";
import { make } from "../web/dom.js";
import { indented } from "../web/json_text.js";
import { counted, phrase } from "../web/language.js";
import { bytes } from "../web/quantities.js";
import { fieldList } from "./field_tables.js";

const BODY_SHOWN = 256 * 1024; // bytes

/** Did it fail, for its client? What is in a file tells nothing of that. */
export function hasFailed({ file, error, status, phase }) {
  return !file && ((Boolean(error) && phase === "over") || status >= 400);
}

/** Is it answered by the proxy itself, in place of an upstream? */
export function isOwn({ error, response, pieces }) {
  return Boolean(error) && pieces === 0 && !response?.received;
}

/** The elements of the panel. */
export function sentPanel(exchange, recording) {
  const { response = {} } = exchange;
  return [
    reasonCard(exchange),
    make(
      "section",
      { class: "message", "data-testid": "sent-head" },
      make("h2", {}, phrase("Sent to the client")),
      response.line ? make("p", { class: "status-line" }, response.line) : null,
      fieldList(response.sent ?? []),
    ),
    bodySection(exchange, recording),
  ];
}

function reasonCard({ error, error_type: type, status, upstream, advice }) {
  const title = errorTitle(type) || phrase(error ? "It failed" : "The upstream answered with {0}", status);
  // The message of an error stands above all tabs.
  const said = error ? "" : phrase("The response is that of {0}, as it came.", upstream ?? phrase("the upstream"));
  return make(
    "section",
    { class: "reason", "data-testid": "reason" },
    make("h2", {}, title),
    said ? make("p", {}, said) : null,
    advice ? make("p", { class: "advice", "data-testid": "advice" }, make("strong", {}, phrase("What to do")), ` ${phrase(advice)}`) : null,
  );
}

function bodySection(exchange, recording) {
  const { parts, size } = recorded(recording);
  const heading = make("h2", {}, phrase("Body"), make("span", { class: "soft" }, `  ${bytes(exchange.bytes)}`));
  const section = make("section", { class: "message", "data-testid": "sent-body" }, heading);
  if (size) {
    const whole = concat(parts);
    const text = asText(whole);
    section.append(make("pre", {}, text === null ? hexDump(whole) : indented(text)));
  } else if (exchange.bytes) {
    section.append(make("p", { class: "soft" }, phrase("The bytes were not recorded.")));
  }
  if (exchange.error && !isOwn(exchange)) {
    const passed = counted(exchange.pieces, "{0} piece", "{0} pieces");
    const said = recording.pieces.get(recording.pieces.end - 1)?.own
      ? phrase("After {0} the proxy itself sent the last event, which tells of the failure.", passed)
      : phrase("After {0} the connection to the client was cut off, so that nothing incomplete looks complete.", passed);
    section.append(make("p", { class: "note wait" }, said));
  }
  return section;
}

/** What was recorded of the response, from its beginning. */
function recorded({ pieces }) {
  const parts = [];
  let size = 0;
  for (const { side, payload } of pieces) {
    if (side !== "response" || !payload || size >= BODY_SHOWN) continue;
    parts.push(payload.subarray(0, BODY_SHOWN - size));
    size += parts.at(-1).length;
  }
  return { parts, size };
}
