// The view of one stream: its header, waterfall, events, text, pieces, fields, bodies.
//
// Reads the feed of this exchange; all data is in a Recording.

import { isTyping } from "../ui/keys.js";
import { Tabs } from "../ui/tabs.js";
import { toast } from "../ui/toast.js";
import { AnimationFrame } from "../web/animation_frame.js";
import { make } from "../web/dom.js";
import { phrase } from "../web/language.js";
import { count } from "../web/quantities.js";
import { Connections } from "./connections.js";
import { currentRow } from "./current_row.js";
import { curl } from "./curl_command.js";
import { copy, saveBody, saveRecord } from "./export.js";
import { bodies, fieldTables } from "./field_tables.js";
import { Header } from "./header.js";
import { JoinedText } from "./joined_text.js";
import { NOUNS } from "./nouns.js";
import { eventColumns, eventDetail, eventText, pieceColumns, pieceDetail, pieceText } from "./record_details.js";
import { RecordList } from "./record_list.js";
import { Recording } from "./recording.js";
import { hasFailed, isOwn, sentPanel } from "./sent_panel.js";
import { Waterfall } from "./waterfall.js";
import { waterfallTools } from "./waterfall_tools.js";

const TICK = 250; // milliseconds between updates of what changes with time alone
const MANY = 5000; // pieces
const TABS = ["events", "text", "pieces", "fields", "bodies", "sent"]; // by their keys, from 1

export class StreamView {
  #exchange = null;
  #at = 0; // when the row came
  #paused = false;
  #stall = 2;
  #drawn = 0; // the age that the drawing shows
  #frame = new AnimationFrame(() => this.#show());
  #chose = false; // the user has chosen a tab
  #closed = false;

  /** `source` says what there is to see: `sources.js`. */
  constructor(place, source, feedState, back) {
    const { id } = source;
    this.place = place;
    this.source = source;
    this.id = id;
    this.back = back;
    this.recording = new Recording(() => this.#changed());
    this.feedState = feedState;
    this.feed = source.feed(this.#events(), feedState);
    document.title = `${id}: ${phrase("Unbuffered inspector")}`;
    this.#build();
    this.#begin();
    this.timer = setInterval(() => this.#tick(), TICK);
  }

  close() {
    this.#closed = true;
    clearInterval(this.timer);
    this.#frame.cancel();
    this.feed.close();
    this.waterfall.close();
    this.place.replaceChildren();
  }

  #events() {
    return {
      pieces: (batch) => this.recording.receive(batch),
      dropped: (dropped) => this.recording.lose(dropped),
      row: (row) => this.#row(row),
      kept: (kept) => this.connections.receive(kept),
      end: () => this.#end(),
    };
  }

  async #begin() {
    if ((await this.#describe()) && !this.#closed) this.feed.open();
    this.header.title.focus({ preventScroll: true });
  }

  /** Fetch the fields; false if the proxy no longer has this exchange. */
  async #describe() {
    let exchange = null;
    try {
      exchange = await this.source.describe();
    } catch (error) {
      return this.#absent(phrase("The exchange could not be read: {0}.", error.message));
    }
    if (this.#closed) return false;
    if (exchange === null) {
      return this.#absent(phrase(this.source.absent));
    }
    this.#exchange = exchange;
    this.#at = performance.now() / 1000;
    if (exchange.file) for (const list of [this.events, this.pieces]) list.stay();
    this.recording.describe(exchange);
    if (exchange.kept) this.connections.receive(exchange.kept);
    this.#changed();
    return true;
  }

  #absent(text) {
    this.feedState(this.source.over);
    const back = make("a", { href: "#", class: "soft" }, phrase("Back to all exchanges"));
    this.place.replaceChildren(make("div", { class: "empty", "data-testid": "absent" }, make("h1", { class: "headline" }, text), back));
    return false;
  }

  // -- events of the feed

  #row(row) {
    const before = this.#exchange;
    // A restarted proxy numbers its exchanges from the beginning.
    if (before && Math.abs(before.started - row.started) > 1) {
      this.close();
      return this.#absent(phrase("The proxy restarted; this exchange is gone."));
    }
    this.recording.compare(row);
    this.#exchange = { ...before, ...row };
    this.#at = performance.now() / 1000;
    if (before && (before.status !== row.status || before.phase !== row.phase)) this.#describe();
    this.#changed();
  }

  async #end() {
    this.feed.close();
    this.feedState(this.source.over);
    await this.#describe();
    this.recording.end();
  }

  #changed() {
    if (!this.#closed) this.#frame.request();
  }

  #tick() {
    if (this.#exchange && this.#exchange.phase !== "over" && !this.#paused) this.#showTime(true);
  }

  // -- the view

  #build() {
    const { recording } = this;
    this.header = new Header({
      back: this.back,
      pause: () => this.#pause(!this.#paused),
      curl: () => this.#curl(),
      record: () => this.#exchange && saveRecord(this.#exchange, recording),
      body: () => this.#exchange && saveBody(this.#exchange, recording),
    });
    this.connections = new Connections(this.id);
    this.waterfall = new Waterfall(recording, (piece) => this.#pieceChosen(piece));
    this.pieces = this.#records(recording.pieces, "piece", pieceColumns(recording, () => this.#stall), pieceText, (piece) => pieceDetail(piece, this.#exchange.started), (piece) => piece.index);
    this.events = this.#records(recording.events, "event", eventColumns(recording, () => this.#stall), eventText, (event) => eventDetail(event, this.#exchange.started), (event) => event.piece);
    this.text = new JoinedText(recording.joined);
    this.fields = make("div", { class: "tables", tabIndex: 0, "data-testid": "fields" });
    this.bodies = make("div", { class: "tables", tabIndex: 0, "data-testid": "bodies" });
    this.sent = make("div", { class: "tables", tabIndex: 0, "data-testid": "sent" });
    this.tabs = new Tabs(
      [
        { name: "sent", label: phrase("Failure"), panel: this.sent },
        { name: "events", label: phrase("Events"), panel: this.events.element },
        { name: "text", label: phrase("Text"), panel: this.text.element },
        { name: "pieces", label: phrase("Pieces"), panel: this.pieces.element },
        { name: "fields", label: phrase("Fields"), panel: this.fields },
        { name: "bodies", label: phrase("Bodies"), panel: this.bodies },
      ],
      () => this.#show(),
    );
    this.tabs.bar.addEventListener("click", () => {
      this.#chose = true;
    });
    this.tabs.offer("events", false);
    this.tabs.offer("text", false);
    this.tabs.offer("sent", false);
    const tools = waterfallTools((settings) => this.#settings(settings), this.#stall);
    this.stage = make("div", { class: "stage" }, tools, this.waterfall.element, this.connections.element);
    this.place.replaceChildren(
      this.header.element,
      this.stage,
      this.tabs.bar,
      this.tabs.panels,
    );
    this.tabs.choose("pieces");
  }

  #records(list, name, columns, search, detail, pieceOf) {
    const selected = (record) => this.waterfall.mark(pieceOf(record));
    return new RecordList(list, { name, columns, search, detail, selected });
  }

  #settings(settings) {
    this.#stall = settings.stall ?? this.#stall;
    this.waterfall.settings(settings);
    this.#show();
  }

  #show() {
    if (!this.#exchange || this.#closed) return;
    this.#showTabs();
    this.#showTime();
    const missing = this.recording.missing();
    this.events.missing(missing);
    this.pieces.missing(missing);
    const { chosen } = this.tabs;
    if (chosen === "events") this.events.update();
    else if (chosen === "pieces") this.pieces.update();
    else if (this.#paused) return;
    else if (chosen === "text") this.text.update();
    else if (chosen === "sent") this.#renew(this.sent, () => sentPanel(this.#exchange, this.recording));
    else if (chosen === "fields") this.#renew(this.fields, () => fieldTables(this.#exchange));
    else this.#renew(this.bodies, () => bodies(this.recording));
  }

  // Not while the user selects text in it, and only if something has changed.
  #renew(place, content) {
    const { request, response, error, advice } = this.#exchange;
    const known = JSON.stringify([this.recording.pieces.end, request, response, error, advice]);
    const selects = !getSelection().isCollapsed && place.contains(getSelection().anchorNode);
    if (place.known === known || selects) return;
    place.known = known;
    place.replaceChildren(...content());
  }

  #showTabs() {
    const { noun, events, pieces, joined } = this.recording;
    const exchange = this.#exchange;
    const failed = hasFailed(exchange);
    this.place.dataset.kind = exchange.kind;
    // Nothing was relayed: there is nothing to draw.
    this.stage.hidden = isOwn(exchange) && !exchange.kept;
    this.tabs.label("pieces", `${phrase("Pieces")} ${count(pieces.end)}`);
    this.tabs.offer("sent", failed);
    if (failed && !this.#chose) {
      this.#chose = true;
      this.tabs.choose("sent");
    }
    if (noun) {
      this.events.call(noun);
      this.tabs.label("events", `${phrase(NOUNS[noun].plural)} ${count(events.end)}`);
      this.tabs.offer("events", true);
      this.events.element.dataset.twoSided = noun === "frame";
    }
    this.tabs.offer("text", joined.count > 0);
    if (noun && !this.#chose && this.tabs.chosen === "pieces") {
      this.#chose = true;
      this.tabs.choose("events");
    }
  }

  #showTime(onlyTime = false) {
    if (this.#paused) return;
    const row = currentRow(this.#exchange, performance.now() / 1000 - this.#at);
    this.header.show(row, this.#stall);
    // With many pieces, time alone does not justify drawing four times a second.
    const many = this.recording.pieces.size > MANY;
    if (onlyTime && many && row.age - this.#drawn < 1) return;
    this.#drawn = row.age;
    this.connections.show();
    this.waterfall.advance(row.age, row.phase !== "over");
  }

  // -- actions of the user

  #pieceChosen(piece) {
    const inEvents = this.tabs.chosen === "events" && piece.event !== undefined;
    if (inEvents) this.events.choose(piece.event, false);
    else if (this.tabs.chosen === "pieces") this.pieces.choose(piece.index, false);
  }

  #pause(paused) {
    this.#paused = paused;
    this.header.paused(paused);
    this.place.dataset.paused = paused;
    this.events.pause(paused);
    this.pieces.pause(paused);
    if (!paused) this.#show();
  }

  async #curl() {
    const exchange = this.#exchange;
    const fields = exchange?.request?.received;
    if (!fields) return;
    const host = fields.find(([name]) => name.toLowerCase() === "host");
    const { request } = this.recording;
    const { command, masked, note } = curl({
      method: exchange.method,
      target: exchange.target,
      fields,
      origin: `${exchange.file ? `${exchange.file.scheme}:` : location.protocol}//${host ? host[1] : location.host}`,
      body: exchange.kind === "websocket" ? null : new Uint8Array(await new Blob(request.parts).arrayBuffer()),
      bodyComplete: request.whole && request.size === (exchange.bytes_received ?? request.size),
    });
    const said = [phrase((await copy(command)) ? "Copied." : "The browser did not allow copying.")];
    if (masked.length) said.push(phrase("Fill in the masked values: {0}.", masked.join(phrase(", "))));
    if (note) said.push(phrase("Note: {0}.", note));
    toast(said.join(" "));
  }

  /** Handle a key; true if this view uses it. */
  pressed(event) {
    const { key, target } = event;
    const records = { events: this.events, pieces: this.pieces }[this.tabs.chosen];
    if (isTyping(target)) return this.#typed(key, target, records);
    if (key === "Escape") this.back();
    else if (key === " " && !target.matches("button:not(.pause), a")) this.#pause(!this.#paused);
    else if (key === "c") this.#curl();
    else if (/^[1-6]$/.test(key)) {
      this.#chose = true;
      return this.tabs.chooseIfOffered(TABS[Number(key) - 1]);
    } else if (key === "/" && records) records.input.select();
    else return records?.pressed(event) ?? false;
    return true;
  }

  #typed(key, target, records) {
    if (key !== "Escape" && !(key === "Enter" && target.type === "search")) return false;
    if (key === "Escape" && target.type === "search" && target.value !== "") {
      target.value = "";
      target.dispatchEvent(new Event("input"));
    }
    records?.list.focus();
    return true;
  }
}
