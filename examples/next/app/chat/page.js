"use client";

import { useChat } from "@ai-sdk/react";
import { useEffect, useState } from "react";

// The name of the chat and what was said in it stay with the tab.
function remembered() {
  const chat = JSON.parse(sessionStorage.getItem("chat"));
  return chat ?? { id: crypto.randomUUID(), messages: [] };
}

export default function Page() {
  const [chat, setChat] = useState(null);
  useEffect(() => setChat(remembered()), []);
  return chat && <Chat {...chat} />;
}

function Chat({ id, messages: before }) {
  const { messages, status, error, sendMessage, resumeStream } = useChat({
    id,
    messages: before,
    resume: true,
  });

  // Not while an answer is on its way: after a reload it comes from its first token.
  useEffect(() => {
    if (status === "submitted" || status === "ready") {
      sessionStorage.setItem("chat", JSON.stringify({ id, messages }));
    }
  }, [id, messages, status]);

  useEffect(() => {
    const online = () => void resumeStream();
    addEventListener("online", online);
    return () => removeEventListener("online", online);
  }, [resumeStream]);

  function send(event) {
    event.preventDefault();
    sendMessage({ text: new FormData(event.target).get("prompt") });
  }

  // To leave an answer does not end it: Unbuffered keeps it for who comes back.
  const stop = () => fetch(`/api/chat/${id}/stop`, { method: "POST" });

  return (
    <main>
      <h1>A chat</h1>
      <ol>
        {messages.map((message) => (
          <li key={message.id} data-testid={message.role}>
            {message.parts.map((part) => (part.type === "text" ? part.text : "")).join("")}
          </li>
        ))}
      </ol>
      <form onSubmit={send}>
        <input name="prompt" defaultValue="Who are you?" aria-label="Your message" />
        <button>Send</button>
        <button type="button" onClick={stop}>Stop</button>
        <span data-testid="status">{error?.message ?? status}</span>
      </form>
    </main>
  );
}
