// Entry point of the page: the feed, the view that is shown, and the keys of both views.

import { hashOfFile, wanted } from "./address.js";
import { Feed } from "./feed.js";
import { FileOpener } from "./file/file_opener.js";
import { ExchangeList } from "./list/exchange_list.js";
import { Exchanges } from "./list/exchanges.js";
import { KeptList } from "./list/kept_list.js";
import { KeptStreams } from "./list/kept_streams.js";
import { SearchNotice } from "./list/search_notice.js";
import { AbsentFile, LiveExchange, RecordedExchange } from "./stream/sources.js";
import { StreamView } from "./stream/stream_view.js";
import { isTaken, isTyping } from "./ui/keys.js";
import { languageSwitch } from "./ui/language_switch.js";
import { TEXTS } from "./ui/texts.js";
import { WarningBanner } from "./ui/warning_banner.js";
import { setText, testid } from "./web/dom.js";
import { counted, learn, phrase, preferredLanguage, speak, translated } from "./web/language.js";
import { count, duration } from "./web/quantities.js";

learn(TEXTS);
languageSwitch();
speak(preferredLanguage());
const FEED_STATES = { connecting: "connecting …", live: "live", lost: "disconnected, retrying", ended: "ended", file: "from a file" };

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
  const hash = hashOfFile(opened.id);
  if (location.hash === hash) route();
  else location.hash = hash;
});
// In place of the link: Back leads to where that stood.
const notice = new SearchNotice(exchanges, (id, { path }) => {
  followed = path === undefined ? null : { path, id, started: exchanges.entries.get(id).row.started };
  location.replace(`#${id}`);
});
let followed = null; // what a link with a path has led to: its next request is shown as well
let opened = null; // of a file; lost when the page is loaded anew
let stream = null;
let state = null;
let fresh = true;
let feedState = ["connecting", null];

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
      if (stream !== null) return followNext();
      list.changed();
      notice.changed();
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
  feedState = [now, reason];
  setText(element.querySelector("[data-state-text]"), reason ? phrase("{0}; retrying", translated(reason)) : phrase(FEED_STATES[now]));
}

function showFacts() {
  if (state === null) return;
  // While one stream is shown, nothing counts the exchanges.
  if (stream !== null) return setText(testid("facts"), phrase("version {0}", state.version));
  const open = exchanges.open;
  const { more } = exchanges;
  const shown = more ? phrase("{0} of {1} open", count(open), count(open + more)) : phrase("{0} open", count(open));
  const parts = [shown, phrase("{0} recent", count(exchanges.entries.size - open))];
  if (state.workers > 1) parts.push(counted(state.workers, "{0} worker", "{0} workers"));
  if (state.started) parts.push(phrase("up {0}", duration(Date.now() / 1000 - state.started)));
  parts.push(phrase("version {0}", state.version));
  setText(testid("facts"), parts.join("  ·  "));
}

/** Show the view that the address names: one stream, or the list. */
function route() {
  const asked = wanted(location.hash);
  const shows = asked.id ?? asked.file;
  if (shows !== followed?.id) followed = null;
  warnings.about(shows ?? "");
  document.getElementById("list").hidden = shows !== undefined;
  document.getElementById("stream").hidden = shows === undefined;
  stream?.close();
  stream = null;
  notice.look(asked.request || asked.path ? asked : null);
  if (shows === undefined) {
    document.title = phrase("Unbuffered inspector");
    if (asked.path) list.search(asked.path);
    followList();
    list.shown();
    return;
  }
  feed.close();
  stream = new StreamView(document.getElementById("stream"), source(asked), showStreamFeed, () => {
    location.hash = "";
  });
  showFacts();
}

function showStreamFeed(now, reason) {
  showFeed(now, reason);
  if (now !== "ended" || followed === null) return;
  notice.follow(followed.path);
  feed.open();
}

/** Show the next request of the path that is followed, once it is there. */
function followNext() {
  const id = followed && exchanges.find({ path: followed.path });
  if (!id) return;
  const { started } = exchanges.entries.get(id).row;
  if (started <= followed.started) return;
  followed = { ...followed, id, started };
  location.replace(`#${id}`);
}

/** Where the view has its exchange from. */
function source({ id, file }) {
  if (file === undefined) return new LiveExchange(id);
  return opened?.id === file ? opened : new AbsentFile(file);
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

/** Say all again, in another language. */
function retell() {
  list.retell();
  keptList.retell();
  warnings.retell();
  notice.show();
  showFacts();
  showFeed(...feedState);
  if (stream !== null) route();
  else document.title = phrase("Unbuffered inspector");
}

document.addEventListener("languagechange", retell);
addEventListener("hashchange", route);
addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", followList);
testid("help").addEventListener("click", () => testid("keys").showModal());
route();
