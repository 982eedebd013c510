
// Load the page again when what it waits for is back. OPTIONS asks for nothing: it only
// shows whether somebody answers. Never in a tab that nobody looks at.
{
  const [{ type }] = performance.getEntriesByType("navigation");
  const most = 30000; // ms
  const key = `unbuffered error page ${location.pathname}${location.search}`;
  const first = firstWait();
  let wait = first;
  let timer = setTimeout(look, wait);
  let asking = false;

  async function look() {
    if (asking || document.hidden) return;
    asking = true;
    if (await isBack()) {
      keepWait(Math.min(Math.max(wait * 1.5, 5000), most));
      location.reload();
      return;
    }
    asking = false;
    wait = Math.min(wait * 1.5, most);
    timer = setTimeout(look, wait);
  }

  // A server in front may answer OPTIONS itself, as Vite does: then the page finds itself
  // again, and must wait longer than before.
  function firstWait() {
    let kept = 0;
    try {
      kept = Number(sessionStorage.getItem(key));
      sessionStorage.removeItem(key);
    } catch {
      // the browser keeps nothing
    }
    if (type !== "reload") return 1000;
    return Math.max(kept, 5000);
  }

  function keepWait(wait) {
    try {
      sessionStorage.setItem(key, wait);
    } catch {
      // as above
    }
  }

  async function isBack() {
    try {
      const { headers } = await fetch(location.href, {
        method: "OPTIONS",
        cache: "no-store",
        redirect: "manual",
      });
      return !/; error=/.test(headers.get("Proxy-Status"));
    } catch {
      return false; // the proxy itself is away
    }
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) return;
    wait = first;
    timer = setTimeout(look, wait);
  });
  document.getElementById("waits").hidden = false;
}
