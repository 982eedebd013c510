// Columns and details of the two record lists: events and pieces.

import { asText, hexDump, hexLine } from "../decode/bytes_text.js";
import { make } from "../web/dom.js";
import { indented } from "../web/json_text.js";
import { phrase } from "../web/language.js";
import { bytes, clockTime, count, duration, NOTHING, seconds } from "../web/quantities.js";
import { channelName } from "./joined_text.js";

const PREVIEW = 300; // characters of a row

/** Columns of the list of events; `stall()` is the gap that counts as a stall. */
export function eventColumns(recording, stall) {
  return [
    sideColumn,
    timeColumn,
    gapColumn(recording, stall),
    { key: "type", label: "type", text: (event) => typeText(event), mark: () => "soft" },
    { key: "preview", label: "data", text: preview, mark: (event) => (event.note && !event.data ? "soft" : "") },
    { key: "size", label: "size", end: true, text: (event) => bytes(event.size), mark: () => "soft" },
  ];
}

export function pieceColumns(recording, stall) {
  return [
    sideColumn,
    timeColumn,
    gapColumn(recording, stall),
    {
      key: "held",
      label: "held",
      end: true,
      text: (piece) => (piece.sent === null ? phrase("not sent") : duration(piece.sent - piece.arrived)),
      mark: (piece) => ((piece.sent ?? Infinity) - piece.arrived >= 0.1 ? "wait" : "soft"),
    },
    { key: "preview", label: "bytes", text: piecePreview },
    { key: "size", label: "size", end: true, text: (piece) => bytes(piece.bytes), mark: () => "soft" },
  ];
}

// Of each side: its sign, the class of that, and the direction in words.
const SIDES = {
  response: ["↓", "good", "to the client"],
  request: ["↑", "up", "to the upstream"],
  heartbeat: ["♥", "soft", "from the proxy itself to the client"],
  own: ["↓", "bad", "from the proxy itself to the client"],
};

/** What the proxy wrote in place of an upstream has a sign of its own. */
function side({ side, own }) {
  return SIDES[own ? "own" : side];
}

const sideColumn = {
  key: "side",
  text: (record) => side(record)[0],
  mark: (record) => side(record)[1],
};

const timeColumn = {
  key: "time",
  label: "arrived",
  end: true,
  text: (record) => `${seconds(record.at ?? record.arrived)} s`,
  mark: () => "soft",
};

function gapColumn(recording, stall) {
  return {
    key: "gap",
    label: "gap",
    end: true,
    text: (record) => {
      const gap = recording.gapOf(record);
      return gap === null ? NOTHING : `+${duration(gap)}`;
    },
    // A tunnel may be silent for as long as it likes.
    mark: (record) => (!recording.isTunnel && recording.gapOf(record) >= stall() ? "bad" : "soft"),
  };
}

function preview(event) {
  if (event.adds.length) return quoted(event.adds.map((each) => each.text).join(""));
  if (event.bytes) return hexLine(event.bytes);
  if (event.data === "") return event.note ?? "";
  return oneLine(event.data);
}

function quoted(text) {
  return JSON.stringify(text.slice(0, PREVIEW));
}

function oneLine(text) {
  return text.slice(0, PREVIEW).replace(/\s*\n\s*/g, " ⏎ ");
}

/** The text that a search looks through. */
export function eventText(event) {
  return `${event.type} ${event.id} ${event.data}`;
}

export function pieceText(piece) {
  if (!piece.payload) return "";
  return asText(piece.payload) ?? hexLine(piece.payload, 4096);
}

function piecePreview(piece) {
  if (!piece.payload) return phrase("not recorded");
  const text = asText(piece.payload.subarray(0, 2 * PREVIEW));
  return text === null ? hexLine(piece.payload) : oneLine(text);
}

/** The type of an event: its own, or what this page calls it. */
function typeText({ type, isNamedHere }) {
  return isNamedHere ? phrase(type) : type;
}

/** The elements that show a whole event; `started`: when its exchange did, by the calendar. */
export function eventDetail(event, started) {
  const facts = [
    ["type", typeText(event)],
    ["id", event.id],
    ["retry", event.retry ? `${event.retry} ms` : ""],
    ["direction", phrase(side(event)[2])],
    ["arrived", `${seconds(event.at)} s`],
    ["time of day", clockTime(started + event.at, 3)],
    ["gap", event.gap === null ? "" : duration(event.gap)],
    ["piece", String(event.piece + 1)],
  ];
  return [
    factList(facts),
    note(event.note),
    ...event.adds.map(({ channel, text }) =>
      make("p", { class: "adds" }, make("span", { class: "soft" }, `${channelName(channel)} `), make("q", {}, text)),
    ),
    body(event.bytes, event.data),
  ];
}

export function pieceDetail(piece, started) {
  const facts = [
    ["direction", phrase(side(piece)[2])],
    ["arrived", `${seconds(piece.arrived, 6)} s`],
    ["sent", piece.sent === null ? phrase("not yet") : `${seconds(piece.sent, 6)} s`],
    ["time of day", clockTime(started + piece.arrived, 3)],
    ["held", piece.sent === null ? "" : duration(piece.sent - piece.arrived)],
    ["bytes", count(piece.bytes)],
  ];
  const short = piece.payload && piece.payload.length < piece.bytes;
  const said = piece.payload
    ? short && phrase("only the first {0} were recorded", bytes(piece.payload.length))
    : phrase("the bytes were not recorded");
  const text = piece.payload && asText(piece.payload);
  return [factList(facts), note(said), body(text === null ? piece.payload : null, text ?? "")];
}

function note(text) {
  return make("p", { class: "note wait", hidden: !text }, text || "");
}

function body(raw, text) {
  if (raw) return make("pre", { class: "dump" }, hexDump(raw));
  return make("pre", { class: "whole", hidden: text === "" }, indented(text));
}

function factList(facts) {
  const rows = facts
    .filter(([, value]) => value !== "")
    .map(([name, value]) => make("div", {}, make("dt", {}, phrase(name)), make("dd", {}, value)));
  return make("dl", { class: "facts-of" }, ...rows);
}
