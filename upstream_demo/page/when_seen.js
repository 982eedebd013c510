// What begins by itself, as soon as somebody sees it.

/**
 * Call `begin` once, when `element` is in view and the page is not in the background.
 *
 * Never where the browser asks for less motion, and never where the address leads to
 * another part of the page. Returns a function that calls it off.
 */
export function whenSeen(element, begin) {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  if (calm.matches || location.hash) return () => {};
  let inView = false;
  const look = () => {
    if (!inView || document.visibilityState !== "visible") return;
    stop();
    begin();
  };
  const observer = new IntersectionObserver((entries) => {
    inView = entries.at(-1).isIntersecting;
    look();
  });
  const stop = () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", look);
  };
  observer.observe(element);
  document.addEventListener("visibilitychange", look);
  return stop;
}
