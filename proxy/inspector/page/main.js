// Entry point of the page: the feed, the view that is shown, and the keys of both views.

import { Feed } from "./feed.js";
import { FileOpener } from "./file/file_opener.js";
import { ExchangeList } from "./list/exchange_list.js";
import { Exchanges } from "./list/exchanges.js";
import { KeptList } from "./list/kept_list.js";
import { KeptStreams } from "./list/kept_streams.js";
import { AbsentFile, LiveExchange, RecordedExchange } from "./stream/sources.js";
import { StreamView } from "./stream/stream_view.js";
import { isTaken, isTyping } from "./ui/keys.js";
import { WarningBanner } from "./ui/warning_banner.js";
import { setText, testid } from "./web/dom.js";
import { count, counted, duration } from "./web/quantities.js";

const FEED_STATES = { connecting: "connecting …", live: "live", lost: "disconnected, retrying", ended: "ended", file: "from a file" };
const FILE = "file:"; // before the name of a file in the address

const exchanges = new Exchanges();
const list = new ExchangeList(exchanges, (id) => {
  location.hash = id;
});
const warnings = new WarningBanner((warning) => {
  location.hash = "";
  list.only(warning);
});
const kept = new KeptStreams();
const keptList = new KeptList(kept);
const opener = new FileOpener((read) => {
  opened = new RecordedExchange(read);
  const hash = `#${FILE}${encodeURIComponent(opened.id)}`;
  if (location.hash === hash) route();
  else location.hash = hash;
});
let opened = null; // of a file; lost when the page is loaded anew
let stream = null;
let state = null;
let fresh = true;

const feed = new Feed(
  "feed",
  {
    state(given) {
      state = given;
      list.routes = given.routes ?? [];
      showFacts();
    },
    exchanges(given) {
      if (fresh) kept.clear();
      if (fresh) keptList.changed();
      exchanges.apply(given, fresh, performance.now() / 1000);
      fresh = false;
      list.changed();
      showFacts();
    },
    streams(given) {
      kept.apply(given, performance.now() / 1000);
      keptList.changed();
    },
    warnings: (given) => warnings.show(given),
  },
  (now, reason) => {
    if (now === "live") fresh = true;
    showFeed(now, reason);
  },
);

function showFeed(now, reason = null) {
  const element = testid("feed");
  element.dataset.state = now;
  if (now === "ended") warnings.about(null);
  setText(element.querySelector("[data-text]"), reason ? `${reason}; retrying` : FEED_STATES[now]);
}

function showFacts() {
  if (state === null) return;
  // While one stream is shown, nothing counts the exchanges.
  if (stream !== null) return setText(testid("facts"), `version ${state.version}`);
  const open = exchanges.open;
  const { more } = exchanges;
  const shown = more ? `${count(open)} of ${count(open + more)} open` : `${count(open)} open`;
  const parts = [shown, `${count(exchanges.entries.size - open)} recent`];
  if (state.workers > 1) parts.push(counted(state.workers, "worker"));
  if (state.started) parts.push(`up ${duration(Date.now() / 1000 - state.started)}`);
  parts.push(`version ${state.version}`);
  setText(testid("facts"), parts.join("  ·  "));
}

/** Show the view that the address names: one stream, or the list. */
function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  warnings.about(id);
  document.getElementById("list").hidden = id !== "";
  document.getElementById("stream").hidden = id === "";
  stream?.close();
  stream = null;
  if (id === "") {
    document.title = "Unbuffered inspector";
    followList();
    list.shown();
    return;
  }
  feed.close();
  stream = new StreamView(document.getElementById("stream"), source(id), showFeed, () => {
    location.hash = "";
  });
  showFacts();
}

/** Where the view has its exchange from. */
function source(id) {
  if (!id.startsWith(FILE)) return new LiveExchange(id);
  const name = id.slice(FILE.length);
  return opened?.id === name ? opened : new AbsentFile(name);
}

/** Keep the feed of the list open only while the list is visible. */
function followList() {
  if (stream !== null) return;
  if (document.visibilityState === "visible") feed.open();
  else feed.close();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (isTaken(event)) return;
  if (event.key === "?" && !isTyping(event.target)) {
    event.preventDefault();
    testid("keys").showModal();
  } else if (event.key === "o" && !isTyping(event.target)) {
    event.preventDefault();
    opener.choose();
  } else if ((stream ?? list).pressed(event)) {
    event.preventDefault();
  }
}

addEventListener("hashchange", route);
addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", followList);
testid("help").addEventListener("click", () => testid("keys").showModal());
route();
