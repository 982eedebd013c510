// Which exchanges of the list are shown. Pure.

const STREAMS = new Set(["event-stream", "ndjson", "websocket"]);

/** Is it a stream: SSE, NDJSON or a WebSocket? */
export function isStream({ kind }) {
  return STREAMS.has(kind);
}

/**
 * What a text lets through: rows that have all its words, and none of those with "-"
 * before them. The word `streams` stands for all kinds of streams.
 */
export function matcher(text) {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "" && word !== "-");
  const wanted = words.filter((word) => word[0] !== "-");
  const unwanted = words.filter((word) => word[0] === "-").map((word) => word.slice(1));
  return (row) => {
    const all = haystack(row);
    const has = (word) => (word === "streams" ? isStream(row) : all.includes(word));
    return wanted.every(has) && !unwanted.some(has);
  };
}

/** Does a row have the kind that was picked? */
export function isOfKind(row, kind) {
  if (kind === "") return true;
  return kind === "streams" ? isStream(row) : row.kind === kind;
}

function haystack(row) {
  const { id, request_id: known, route, upstream, client, method, target, status, kind, answer, ending, error } = row;
  return [id, known, route, upstream, client, method, target, status || "", kind, answer?.model, ending, error]
    .map((value) => value ?? "")
    .join(" ")
    .toLowerCase();
}
