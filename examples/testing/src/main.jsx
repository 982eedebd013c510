import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";

function Events() {
  const [events, setEvents] = useState([]);
  const [state, setState] = useState("connecting");

  useEffect(() => {
    const source = new EventSource("/api/events");
    source.onopen = () => setState("open");
    source.onerror = () =>
      setState(source.readyState === EventSource.CLOSED ? "closed" : "reconnecting");
    source.onmessage = ({ data }) => setEvents((known) => [...known, data]);
    return () => source.close();
  }, []);

  return (
    <main>
      <p role="status">{state}</p>
      <ol>
        {events.map((data, index) => (
          <li key={index}>{data}</li>
        ))}
      </ol>
    </main>
  );
}

createRoot(document.getElementById("root")).render(<Events />);
