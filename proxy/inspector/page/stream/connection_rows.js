// What is drawn of the connections of a kept stream.

import { counted, phrase } from "../web/language.js";
import { bytes, count, duration } from "../web/quantities.js";

const WAYS = {
  first: "asked for it",
  event_id: "resumed by event id",
  upstream_event_id: "resumed by the upstream's event id",
  key: "resumed by key",
  idempotency_key: "resumed by Idempotency-Key",
  stream_id: "resumed by Stream-Id",
  share: "joined",
};

/**
 * The rows, the upstream's first: {label, words, left, width, open, exchange, state}.
 * `left` and `width` are shares of the time since the stream was asked for; `elapsed`
 * seconds have passed since the stream was told of.
 */
export function connectionRows(kept, elapsed) {
  const now = end(kept, elapsed);
  const scale = Math.max(now, 0.001);
  const upstreamEnd = kept.ended ?? now;
  const upstream = {
    label: phrase("upstream"),
    words: kept.ended === null ? phrase("running") : phrase("{0} after {1}", phrase(kept.state), duration(kept.ended)),
    left: 0,
    width: Math.min(1, upstreamEnd / scale),
    open: kept.ended === null,
    exchange: null,
    state: "upstream",
  };
  return [upstream, ...kept.connections.map((each) => connection(each, now, scale))];
}

// Where the axis ends: now, or with the last of its connections once nothing runs.
function end(kept, elapsed) {
  const running = kept.ended === null || kept.connections.some(({ ended }) => ended === null);
  const ends = kept.connections.map(({ ended }) => ended ?? 0);
  const last = Math.max(kept.ended ?? 0, ...ends);
  if (!running) return last;
  const told = kept.ended === null ? kept.age : Math.max(last, ...kept.connections.map(({ began }) => began));
  return told + elapsed;
}

function connection(each, now, scale) {
  const to = each.ended ?? Math.max(now, each.began);
  const size = each.from ? phrase("{0} from byte {1}", bytes(each.bytes), each.from) : bytes(each.bytes);
  const how = phrase(each.ending === null ? "open" : each.ending);
  const way = phrase(WAYS[each.way] ?? each.way);
  return {
    label: each.client,
    words: [way, size, duration(to - each.began), how].join(phrase(", ")),
    left: Math.min(1, Math.max(0, each.began / scale)),
    width: Math.min(1, Math.max(0, (to - each.began) / scale)),
    open: each.ended === null,
    exchange: each.exchange,
    state: each.ending !== null && each.ending !== "complete" && each.ending !== "client left" ? "failed" : "client",
  };
}

/** What stands above the rows. */
export function connectionHeading(kept) {
  const hidden = kept.visits - kept.connections.length;
  const which = hidden > 0 ? [phrase("the last {0} shown", count(kept.connections.length))] : [];
  const what = phrase(kept.kept ? "Kept stream {0}" : "Shared stream {0}", kept.id);
  const visits = counted(kept.visits, "{0} connection", "{0} connections");
  return [what, [visits, ...which].join(phrase(", "))].join(phrase(": "));
}
