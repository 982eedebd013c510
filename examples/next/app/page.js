"use client";

import { useEffect, useRef, useState } from "react";

import { MEANS } from "./streams.js";

export default function Page() {
  const [means, setMeans] = useState("EventSource");
  const [state, setState] = useState("idle");
  const [messages, setMessages] = useState([]);
  const [echoes, setEchoes] = useState([]);
  const [live, setLive] = useState(false);
  const close = useRef(() => {});
  const socket = useRef(null);

  function connect() {
    close.current();
    setMessages([]);
    close.current = MEANS[means]("/sse/events", {
      onState: setState,
      onMessage: (data) => setMessages((before) => [...before, data]),
    });
  }

  function say(text) {
    if (socket.current?.readyState === WebSocket.OPEN) {
      socket.current.send(text);
      return;
    }
    socket.current = new WebSocket(`${location.origin.replace("http", "ws")}/echo`);
    socket.current.onopen = () => socket.current.send(text);
    socket.current.onmessage = ({ data }) => setEchoes((before) => [...before, data]);
  }

  useEffect(() => () => close.current(), []);
  // The server has made the page already: until React takes it over, a click is lost.
  useEffect(() => setLive(true), []);

  return (
    <main>
      <h1>Six messages, one a second</h1>
      <fieldset disabled={!live} style={{ border: 0, padding: 0 }}>
        <p>
          {Object.keys(MEANS).map((name) => (
            <label key={name}>
              <input
                type="radio"
                checked={name === means}
                onChange={() => setMeans(name)}
                data-testid={`means-${name}`}
              />
              {name}
            </label>
          ))}
        </p>
        <button data-testid="connect" onClick={connect}>Connect</button>
        <button onClick={() => close.current()}>Disconnect</button>
        <span data-testid="state">{state}</span>
        <ol>
          {messages.map((message, index) => (
            <li key={index} data-testid="message">{message}</li>
          ))}
        </ol>
        <button data-testid="say" onClick={() => say("你好")}>
          Say 你好 to the WebSocket
        </button>
        <ol>
          {echoes.map((echo, index) => (
            <li key={index} data-testid="echo">{echo}</li>
          ))}
        </ol>
      </fieldset>
    </main>
  );
}
