// The three APIs with which a browser reads an event stream, behind one call:
//
//   const close = read(url, { onState, onEvent });
//
// onState gets "connecting", "open", "error" (with a reason) or "closed";
// onEvent gets {data}. The service's last event has the data "end".

import { EventStreamReader } from "./web/event_stream.js";
import { NdjsonReader } from "./web/ndjson.js";

export const LAST = "end";

export function readEventSource(url, { onState, onEvent }) {
  const source = new EventSource(url);
  let closed = false;
  const close = () => {
    source.close();
    if (!closed) onState("closed");
    closed = true;
  };
  onState("connecting");
  source.onopen = () => onState("open");
  source.onmessage = ({ data }) => {
    onEvent({ data });
    // Without this it would connect again and get everything a second time.
    if (data === LAST) close();
  };
  source.onerror = () => {
    onState("error", "EventSource: error");
    // A lost connection is tried again by the browser, a refused one is not.
    if (source.readyState === EventSource.CLOSED) close();
    else onState("connecting");
  };
  return close;
}

export function readXhr(url, { onState, onEvent }) {
  const request = new XMLHttpRequest();
  const reader = new EventStreamReader();
  let seen = 0;
  const take = () => {
    const text = request.responseText.slice(seen);
    seen += text.length;
    dispatched(reader, text).forEach(onEvent);
  };
  onState("connecting");
  request.onreadystatechange = () => {
    // Chromium tells of the head only when the body's first piece is here.
    if (request.readyState !== XMLHttpRequest.HEADERS_RECEIVED) return;
    if (request.status === 200) onState("open");
    else onState("error", `${request.status} ${request.statusText}`.trim());
  };
  request.onprogress = () => {
    if (request.status === 200) take();
  };
  request.onerror = () => onState("error", "XMLHttpRequest: error");
  request.onloadend = () => onState("closed");
  request.open("GET", url);
  request.send();
  return () => request.abort();
}

export function readFetch(url, { onState, onEvent }) {
  const abort = new AbortController();
  onState("connecting");
  follow(url, abort.signal, { onState, onEvent })
    .catch((error) => {
      if (!abort.signal.aborted) onState("error", String(error));
    })
    .finally(() => onState("closed"));
  return () => abort.abort();
}

async function follow(url, signal, { onState, onEvent }) {
  const response = await fetch(url, { signal });
  if (!response.ok) {
    throw new Error(`${response.status} ${response.statusText}`.trim());
  }
  onState("open");
  for await (const event of events(response)) onEvent(event);
}

/** The events of an event stream that EventSource would dispatch. */
export async function* events(response) {
  const reader = new EventStreamReader();
  for await (const text of texts(response)) yield* dispatched(reader, text);
}

function dispatched(reader, text) {
  return reader.push(text).filter((event) => event.dispatched);
}

/** The values of an NDJSON response; a line that is not JSON is a SyntaxError. */
export async function* ndjsonValues(response) {
  const reader = new NdjsonReader();
  for await (const text of texts(response)) {
    for (const line of reader.push(text)) yield valueOf(line);
  }
  for (const line of reader.finish()) yield valueOf(line);
}

function valueOf({ data, fault }) {
  if (fault) throw new SyntaxError(`not a line of JSON: ${data.slice(0, 80)}`);
  return JSON.parse(data);
}

/** The body of `response` as text, one string per read. */
async function* texts(response) {
  const decoder = new TextDecoder();
  // Safari has no asynchronous iteration of a ReadableStream.
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    yield decoder.decode(value, { stream: !done });
    if (done) return;
  }
}

export const MEANS = {
  EventSource: readEventSource,
  XMLHttpRequest: readXhr,
  fetch: readFetch,
};
