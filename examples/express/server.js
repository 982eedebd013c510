import express from "express";

const app = express();

app.get("/events", (request, response) => {
  response.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
  let count = 0;
  const send = () => response.write(`data: message ${++count}\n\n`);
  const timer = setInterval(send, 1000);
  response.on("close", () => clearInterval(timer));
  send();
});

const server = app.listen(process.env.PORT ?? 3000, () => {
  console.log(`http://localhost:${server.address().port}/events`);
});
