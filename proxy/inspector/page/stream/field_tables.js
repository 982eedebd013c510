// Tables of the fields before and after the proxy's changes, and both bodies.

import { asText, concat, hexDump } from "../decode/bytes_text.js";
import { make } from "../web/dom.js";
import { indented } from "../web/json_text.js";
import { counted, phrase } from "../web/language.js";
import { bytes } from "../web/quantities.js";
import { isMasked } from "./curl_command.js";
import { compare, tally } from "./field_diff.js";

const MARKS = { same: "", changed: "~", removed: "−", added: "+" };
const WORDS = { same: "unchanged", changed: "changed", removed: "removed", added: "added" };
const COUNTS = { changed: "{0} changed", removed: "{0} removed", added: "{0} added" };
const BODY_SHOWN = 1024 * 1024; // bytes

/** Both messages of an exchange. */
export function fieldTables(exchange) {
  if (exchange.file) {
    const { request, response } = exchange;
    return [
      request.sent ? message("Request", "From the client", "To the upstream", request) : asRecorded("Request", request),
      asRecorded("Response", response),
    ];
  }
  return [
    message("Request", "From the client", "To the upstream", exchange.request),
    message("Response", "From the upstream", "To the client", exchange.response),
  ];
}

/** Of a file: one side only. */
function asRecorded(title, { received }) {
  return make(
    "section",
    { class: "message", "data-testid": `fields-${title.toLowerCase()}` },
    make("h2", {}, phrase(title)),
    fieldList(received),
  );
}

/** Fields as they are, without a comparison. */
export function fieldList(fields) {
  if (!fields.length) return make("p", { class: "soft" }, phrase("None."));
  const rows = fields.map(([name, text]) => make("tr", {}, make("th", { scope: "row" }, name), value(text, "same")));
  const heads = ["Field", "Value"].map((text) => make("th", { scope: "col" }, phrase(text)));
  return make("table", { class: "fields two" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}

function message(title, before, after, given) {
  const rows = compare(given?.received ?? [], given?.sent ?? []);
  const counts = tally(rows);
  const said = ["added", "changed", "removed"]
    .filter((kind) => counts[kind])
    .map((kind) => phrase(COUNTS[kind], counts[kind]));
  const heading = make(
    "h2",
    {},
    phrase(title),
    make("span", { class: "soft" }, `  ${said.length ? said.join(phrase(", ")) : phrase("no changes")}`),
  );
  if (rows.length === 0) {
    return make("section", { class: "message" }, make("h2", {}, phrase(title)), make("p", { class: "soft" }, phrase("None yet.")));
  }
  const change = make("span", { class: "visually-hidden" }, phrase("Change"));
  const head = [change, phrase("Field"), phrase(before), phrase(after)].map((content) => make("th", { scope: "col" }, content));
  return make(
    "section",
    { class: "message", "data-testid": `fields-${title.toLowerCase()}` },
    heading,
    make(
      "table",
      { class: "fields" },
      make("thead", {}, make("tr", {}, ...head)),
      make("tbody", {}, ...rows.map(fieldRow)),
    ),
  );
}

function fieldRow({ kind, name, before, after }) {
  const mark = make("td", { class: "mark" }, make("span", { "aria-hidden": "true" }, MARKS[kind]));
  mark.append(make("span", { class: "visually-hidden" }, phrase(WORDS[kind])));
  return make(
    "tr",
    { "data-kind": kind },
    mark,
    make("th", { scope: "row" }, name),
    value(before, kind),
    kind === "same" ? make("td", { class: "soft" }, phrase("same")) : value(after, kind),
  );
}

function value(text, kind) {
  if (text === null) return make("td", { class: "none" }, "–");
  const cell = make("td", { class: kind }, text);
  if (isMasked(text)) cell.append(make("span", { class: "masked" }, phrase("masked")));
  return cell;
}

/** The recorded part of both bodies. */
export function bodies(recording) {
  const sides = ["Request", "Response"].map((title) => {
    const side = title.toLowerCase();
    const parts = [];
    let size = 0;
    let total = 0;
    for (const piece of recording.pieces) {
      if (piece.side !== side) continue;
      total += piece.bytes;
      if (!piece.payload || size >= BODY_SHOWN) continue;
      parts.push(piece.payload.subarray(0, BODY_SHOWN - size));
      size += parts.at(-1).length;
    }
    return { title, side, parts, size, total };
  });
  return sides.map(bodySection);
}

function bodySection({ title, side, parts, size, total }) {
  const whole = concat(parts);
  const said = [];
  if (total) said.push(phrase("{0} in {1}", bytes(total), counted(parts.length, "{0} piece", "{0} pieces")));
  else said.push(phrase("empty"));
  if (size < total) said.push(phrase("the first {0} recorded", bytes(size)));
  const text = asText(whole);
  return make(
    "section",
    { class: "message", "data-testid": `body-${side}` },
    make("h2", {}, phrase(title), make("span", { class: "soft" }, `  ${said.join(phrase(", "))}`)),
    make("pre", { hidden: total === 0 }, text === null ? hexDump(whole) : indented(text)),
  );
}
