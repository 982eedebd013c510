// The header of the stream view: request, state, verdict, figures and actions.

import { button, make, setClass, setText, testid } from "../web/dom.js";
import { phrase } from "../web/language.js";
import { bytes, count, dateTime, duration, NOTHING } from "../web/quantities.js";
import { speed, tokens } from "../web/model_answer.js";
import { judge } from "./stream_verdict.js";

const FIGURES = [
  ["Route", (row) => row.route ?? (row.file ? null : phrase("none"))],
  ["Upstream", (row) => row.upstream ?? NOTHING],
  ["Client", (row) => (row.file ? null : (row.client ?? NOTHING))],
  ["Request id", (row) => row.request_id ?? null],
  ["Started", (row) => dateTime(row.started)],
  ["First byte", (row) => duration(row.first_byte)],
  ["Model", (row) => row.answer?.model ?? null],
  ["First token", (row) => (row.answer?.first_token != null ? duration(row.answer.first_token) : null)],
  ["Tokens", (row) => tokens(row.answer)],
  ["Speed", (row) => (row.answer?.tokens_per_second ? phrase("{0} tokens/s", speed(row.answer)) : null)],
  ["Pieces", (row) => count(row.pieces)],
  ["Bytes", (row) => (row.bytes_received ? phrase("{0}, {1} up", bytes(row.bytes), bytes(row.bytes_received)) : bytes(row.bytes))],
  ["Heartbeats", (row) => (row.heartbeats ? count(row.heartbeats) : null)],
  ["Decoded", (row) => row.coded?.join(", ") || null],
  ["Retries", (row) => row.retries || null],
  ["Longest gap", (row) => (row.pieces > 1 ? duration(row.longest_gap) : NOTHING)],
  ["Longest hold", (row) => (row.file ? null : row.pieces ? duration(row.longest_hold) : NOTHING)],
  ["Recorded by", (row) => row.file?.by || null],
];

export class Header {
  /** `actions`: the functions back, pause, curl, record and body. */
  constructor(actions) {
    this.title = make("h1", { tabIndex: -1, "data-testid": "title" });
    this.state = make("p", { class: "state", "data-testid": "state" });
    this.verdict = make("p", { class: "verdict", "data-testid": "verdict" });
    this.pause = button(phrase("Pause"), actions.pause, "stream-pause", { "aria-pressed": "false", class: "pause" });
    this.figures = FIGURES.map(([name]) => {
      const value = make("dd", {});
      return { value, element: make("div", {}, make("dt", {}, phrase(name)), value) };
    });
    const controls = [
      this.pause,
      button(phrase("Copy as curl"), actions.curl, "curl", { title: "c" }),
      button(phrase("Save record"), actions.record, "save-record", { title: phrase("Header fields and every piece with its time, to be replayed") }),
      button(phrase("Save body"), actions.body, "save-body", { title: phrase("The response body as sent to the client") }),
    ];
    this.element = make(
      "header",
      { class: "stream-head" },
      make(
        "div",
        { class: "line" },
        button(phrase("← All"), actions.back, "back", { title: phrase("Back to all exchanges (Esc)") }),
        this.title,
        this.state,
        make("div", { class: "actions" }, ...controls),
      ),
      make("div", { class: "line account" }, this.verdict),
      make("dl", { class: "figures" }, ...this.figures.map(({ element }) => element)),
    );
    this.save = testid("save-record", this.element);
  }

  paused(paused) {
    this.pause.setAttribute("aria-pressed", String(paused));
    setText(this.pause, phrase(paused ? "Resume" : "Pause"));
  }

  /** Show the current row. */
  show(row, stall) {
    const open = row.phase !== "over";
    this.save.hidden = Boolean(row.file); // it is a file already
    this.pause.hidden = !open && this.pause.getAttribute("aria-pressed") === "false";
    if (this.title.dataset.id !== row.id) {
      this.title.dataset.id = row.id;
      this.title.title = row.target;
      this.title.replaceChildren(make("span", { class: "soft" }, row.method), ` ${row.target}`);
    }
    const { age } = row;
    const status = row.status ? `${row.status}  ·  ` : "";
    const standing = open ? phrase("{0}, {1}", phrase(row.phase), duration(age)) : phrase("{0} after {1}", phrase(row.ending ?? "ended"), duration(age));
    setText(this.state, `${status}${row.family ?? phrase(row.kind)}  ·  ${standing}`);
    this.state.dataset.state = row.error ? "failed" : open ? "open" : "over";
    const { kind, text } = judge(row, stall);
    setText(this.verdict, text);
    setClass(this.verdict, `verdict ${kind}`);
    FIGURES.forEach(([, value], at) => {
      const text = value(row);
      this.figures[at].element.hidden = text === null;
      if (text !== null) setText(this.figures[at].value, String(text));
    });
  }
}
