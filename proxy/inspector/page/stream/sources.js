// Where the view of a stream has its exchange from: the proxy, or a file.

import { Feed, fetchExchange } from "../feed.js";

const BATCH = 5000; // pieces

/** An exchange of the proxy, as it goes on. */
export class LiveExchange {
  over = "ended"; // the state of the feed once it has
  absent = "This exchange is gone: the proxy keeps only the most recent ones."; // a phrase

  constructor(id) {
    this.id = id;
  }

  /** Its row and its fields; null if the proxy no longer has it. */
  describe() {
    return fetchExchange(this.id);
  }

  /** What tells `events` of its pieces once it is opened. */
  feed(events, state) {
    return new Feed(`exchanges/${encodeURIComponent(this.id)}/feed`, events, state);
  }
}

/** A file that was open before the page was loaded anew: nobody has kept it. */
export class AbsentFile {
  over = "file";
  absent = "This file is not open any more: open it again, or drop it on this page.";

  constructor(name) {
    this.id = name;
  }

  async describe() {
    return null;
  }

  feed() {
    return { open() {}, close() {} };
  }
}

/** An exchange of a file, which has all of it. Nothing is asked of the proxy. */
export class RecordedExchange {
  over = "file";

  constructor({ exchange, pieces }) {
    this.id = exchange.id;
    this.exchange = exchange;
    this.pieces = pieces;
  }

  async describe() {
    return this.exchange;
  }

  feed(events, state) {
    return {
      open: () => {
        state(this.over);
        for (let at = 0; at < this.pieces.length; at += BATCH) {
          events.pieces(this.pieces.slice(at, at + BATCH));
        }
        events.end();
      },
      close() {},
    };
  }
}
