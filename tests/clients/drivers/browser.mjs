// What runs in a page: each function answers like a driver's line.
import { useChat } from "@ai-sdk/react";
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { DefaultChatTransport } from "ai";
import { createElement, useEffect } from "react";
import { createRoot } from "react-dom/client";

const told = (error) => `${error?.name ?? "error"}: ${error?.message ?? error}`;

// Complete: the hook came to rest without an error and without a lost connection.
function chat(url) {
  return new Promise((resolve) => {
    function Chat() {
      const { sendMessage } = useChat({
        transport: new DefaultChatTransport({ api: `${url}/api/chat` }),
        onFinish({ message, isError, isDisconnect, isAbort, finishReason }) {
          const parts = message.parts.filter((part) => part.type === "text");
          const text = parts.map((part) => part.text).join("");
          const complete = !isError && !isDisconnect && !isAbort;
          resolve({ text, complete, finishReason, error: failed && told(failed) });
        },
        onError(error) {
          failed = error;
        },
      });
      useEffect(() => void sendMessage({ text: "Hi" }), []);
      return null;
    }
    let failed = null;
    createRoot(document.createElement("div")).render(createElement(Chat));
  });
}

// The stream is over for the page when the browser reports an error or comes back.
function nativeEventSource(url) {
  return new Promise((resolve) => {
    const source = new EventSource(`${url}/events`);
    const got = [];
    let told = null;
    source.onmessage = (event) => got.push(event.data);
    source.addEventListener("error", (event) => {
      if (event instanceof MessageEvent) {
        told = `event: ${event.data}`;
        return;
      }
      const reconnects = source.readyState === EventSource.CONNECTING;
      source.close();
      const error = told ?? (reconnects ? "reconnects" : "closed");
      resolve({ text: got.join(""), complete: false, error });
    });
  });
}

function fetched(url) {
  const got = [];
  let messages = 0;
  const ending = (error) => ({ text: got.join(""), complete: error === null, error, messages });
  return fetchEventSource(`${url}/events`, {
    openWhenHidden: true,
    onmessage(event) {
      messages += 1;
      if (event.event === "error") throw Object.assign(new Error(event.data), { name: "event" });
      got.push(event.data);
    },
    onerror(error) {
      throw error;
    },
  }).then(
    () => ending(null),
    (error) => ending(told(error)),
  );
}

// Tells the test of the first event: before it has an id, a client begins anew.
function noting(url, got) {
  return ({ data }) => {
    if (!data) return; // fetch-event-source makes a message of `retry` alone, too
    got.push(data);
    if (got.length === 1) fetch(`${url}/seen`, { ...POST, body: '{"seen": true}' });
  };
}

// Reads on, however often the connection is cut; the end is a 204.
function resumedEventSource(url) {
  return new Promise((resolve) => {
    const source = new EventSource(`${url}/events`);
    const got = [];
    source.onmessage = noting(url, got);
    source.onerror = () => {
      if (source.readyState !== EventSource.CLOSED) return;
      resolve({ text: got.join(" "), complete: true, error: null });
    };
  });
}

// Its own retry, but sooner.
async function resumedFetch(url, options) {
  const got = [];
  await fetchEventSource(`${url}/events`, {
    ...options,
    openWhenHidden: true,
    onmessage: noting(url, got),
    onerror: () => RETRY,
  });
  return { text: got.join(" "), complete: true, error: null };
}

const RETRY = 5; // ms
const POST = { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" };

globalThis.clients = {
  chat,
  eventSource: nativeEventSource,
  fetchEventSource: fetched,
  "resumed.eventSource": resumedEventSource,
  "resumed.get": (url) => resumedFetch(url, {}),
  "resumed.post": (url) => resumedFetch(url, POST),
};
