// The three means by which a browser reads an event stream, behind one call:
//
//   const close = read(url, { onState, onMessage });
//
// onState gets "connecting", "open", "error" or "closed", onMessage a text.
// The service's last message is "end".

function readEventSource(url, { onState, onMessage }) {
  const source = new EventSource(url);
  const close = () => {
    source.close();
    onState("closed");
  };
  onState("connecting");
  source.onopen = () => onState("open");
  source.onmessage = ({ data }) => {
    // Without this it would connect again and get everything a second time.
    if (data === "end") close();
    else onMessage(data);
  };
  // The browser connects again by itself, unless it was refused.
  source.onerror = () => onState("error");
  return close;
}

function readXhr(url, { onState, onMessage }) {
  const request = new XMLHttpRequest();
  const feed = messagesOf(onMessage);
  let seen = 0;
  onState("connecting");
  request.onprogress = () => {
    onState("open");
    feed(request.responseText.slice(seen));
    seen = request.responseText.length;
  };
  request.onerror = () => onState("error");
  request.onload = () => onState(request.status === 200 ? "closed" : "error");
  request.onabort = () => onState("closed");
  request.open("GET", url);
  request.send();
  return () => request.abort();
}

function readFetch(url, { onState, onMessage }) {
  const abort = new AbortController();
  const follow = async () => {
    const response = await fetch(url, { signal: abort.signal });
    if (!response.ok) throw new Error(`${response.status}`);
    onState("open");
    const feed = messagesOf(onMessage);
    for await (const text of texts(response)) feed(text);
  };
  onState("connecting");
  follow().then(
    () => onState("closed"),
    () => onState(abort.signal.aborted ? "closed" : "error"),
  );
  return () => abort.abort();
}

export const MEANS = {
  EventSource: readEventSource,
  XMLHttpRequest: readXhr,
  fetch: readFetch,
};

/** Takes text as it comes and tells of each message: the least of a parser. */
function messagesOf(onMessage) {
  let rest = "";
  return (text) => {
    const events = (rest + text).split("\n\n");
    rest = events.pop();
    for (const event of events) {
      const data = event.match(/^data: ?(.*)$/m)?.[1];
      if (data !== undefined && data !== "end") onMessage(data);
    }
  };
}

async function* texts(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

/** The lines of a response, each when it is complete. */
export async function* lines(response) {
  let rest = "";
  for await (const text of texts(response)) {
    const found = (rest + text).split("\n");
    rest = found.pop();
    yield* found;
  }
  if (rest) yield rest;
}
