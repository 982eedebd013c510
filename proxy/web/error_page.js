
// Load the page again when what it waits for is back. OPTIONS asks for nothing: it only
// shows whether somebody answers. Never in a tab that nobody looks at.
{
  const [{ type }] = performance.getEntriesByType("navigation");
  const first = type === "reload" ? 5000 : 1000; // ms
  const most = 30000;
  let wait = first;
  let timer = setTimeout(look, wait);
  let asking = false;

  async function look() {
    if (asking || document.hidden) return;
    asking = true;
    if (await isBack()) {
      location.reload();
      return;
    }
    asking = false;
    wait = Math.min(wait * 1.5, most);
    timer = setTimeout(look, wait);
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
