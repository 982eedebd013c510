// A chat page as the AI SDK's documentation has it; the back end has a POST and no more.
import { useChat } from "@ai-sdk/react";
import { DefaultChatTransport } from "ai";
import { createElement as h, useEffect } from "react";
import { createRoot } from "react-dom/client";

const API = "/api/chat";
const ID = "chat 1";

const textOf = ({ parts }) =>
  parts.map((part) => (part.type === "text" ? part.text : "")).join("");

function Chat() {
  const { messages, status, sendMessage, resumeStream } = useChat({
    id: ID,
    resume: true,
    transport: new DefaultChatTransport({ api: API }),
  });
  useEffect(() => {
    const back = () => void resumeStream();
    addEventListener("online", back);
    return () => removeEventListener("online", back);
  }, [resumeStream]);
  const stop = () => fetch(`${API}/${encodeURIComponent(ID)}/stop`, { method: "POST" });
  const said = messages.filter(({ role }) => role === "assistant");
  return h(
    "main",
    null,
    h("p", { "data-testid": "status" }, status),
    ...said.map((message) => h("p", { key: message.id, "data-testid": "said" }, textOf(message))),
    h("button", { onClick: () => sendMessage({ text: "Hi" }) }, "Send"),
    h("button", { onClick: stop }, "Stop"),
  );
}

createRoot(document.querySelector("#root")).render(h(Chat));
