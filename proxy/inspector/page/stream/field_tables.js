// Tables of the fields before and after the proxy's changes, and both bodies.

import { asText, concat, hexDump } from "../decode/bytes_text.js";
import { make } from "../web/dom.js";
import { indented } from "../web/json_text.js";
import { bytes, counted } from "../web/quantities.js";
import { isMasked } from "./curl_command.js";
import { compare, tally } from "./field_diff.js";

const MARKS = { same: "", changed: "~", removed: "−", added: "+" };
const WORDS = { same: "unchanged", changed: "changed", removed: "removed", added: "added" };
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
  const name = (text) => make("th", { scope: "row" }, text);
  const rows = received.map(([field, text]) => make("tr", {}, make("td", { class: "mark" }), name(field), value(text, "same")));
  const heads = ["", "Field", "Value"].map((text) => make("th", { scope: "col" }, text));
  return make(
    "section",
    { class: "message", "data-testid": `fields-${title.toLowerCase()}` },
    make("h3", {}, title),
    rows.length
      ? make("table", { class: "fields" }, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))
      : make("p", { class: "soft" }, "None."),
  );
}

function message(title, before, after, given) {
  const rows = compare(given?.received ?? [], given?.sent ?? []);
  const counts = tally(rows);
  const said = ["added", "changed", "removed"]
    .filter((kind) => counts[kind])
    .map((kind) => `${counts[kind]} ${WORDS[kind]}`);
  const heading = make(
    "h3",
    {},
    title,
    make("span", { class: "soft" }, said.length ? `  ${said.join(", ")}` : "  no changes"),
  );
  if (rows.length === 0) {
    return make("section", { class: "message" }, make("h3", {}, title), make("p", { class: "soft" }, "None yet."));
  }
  const head = ["", "Field", before, after].map((text) =>
    make("th", { scope: "col" }, text || make("span", { class: "visually-hidden" }, "Change")),
  );
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
  mark.append(make("span", { class: "visually-hidden" }, WORDS[kind]));
  return make(
    "tr",
    { "data-kind": kind },
    mark,
    make("th", { scope: "row" }, name),
    value(before, kind),
    kind === "same" ? make("td", { class: "soft" }, "same") : value(after, kind),
  );
}

function value(text, kind) {
  if (text === null) return make("td", { class: "none" }, "–");
  const cell = make("td", { class: kind }, text);
  if (isMasked(text)) cell.append(make("span", { class: "masked" }, "masked"));
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
  const cut = size < total ? `, the first ${bytes(size)} recorded` : "";
  const said = total ? `  ${bytes(total)} in ${counted(parts.length, "piece")}${cut}` : "  empty";
  const text = asText(whole);
  return make(
    "section",
    { class: "message", "data-testid": `body-${side}` },
    make("h3", {}, title, make("span", { class: "soft" }, said)),
    make("pre", { hidden: total === 0 }, text === null ? hexDump(whole) : indented(text)),
  );
}
