// Where the page begins: the feed, which view is shown, and the keys of both.

import { isTaken, isTyping, setText, testid } from "./dom.js";
import { Exchanges } from "./exchanges.js";
import { Feed } from "./feed.js";
import { count, counted, duration } from "./format.js";
import { List } from "./list.js";
import { Stream } from "./stream.js";
import { Warnings } from "./warnings.js";

const FEED_STATES = { connecting: "connecting …", live: "live", lost: "no connection: trying again", over: "over" };

const exchanges = new Exchanges();
const list = new List(exchanges, (id) => {
  location.hash = id;
});
const warnings = new Warnings((warning) => {
  location.hash = "";
  list.only(warning);
});
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
      exchanges.apply(given, fresh, performance.now() / 1000);
      fresh = false;
      list.changed();
      showFacts();
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
  if (now === "over") warnings.about(null);
  setText(element.querySelector("[data-text]"), reason ? `${reason}: trying again` : FEED_STATES[now]);
}

function showFacts() {
  if (state === null) return;
  // Nobody counts while one stream is looked at.
  if (stream !== null) return setText(testid("facts"), `version ${state.version}`);
  const open = exchanges.open;
  const { more } = exchanges;
  const told = more ? `${count(open)} of ${count(open + more)} open` : `${count(open)} open`;
  const parts = [told, `${count(exchanges.entries.size - open)} recent`];
  if (state.workers > 1) parts.push(counted(state.workers, "worker"));
  if (state.started) parts.push(`up ${duration(Date.now() / 1000 - state.started)}`);
  parts.push(`version ${state.version}`);
  setText(testid("facts"), parts.join("  ·  "));
}

/** Show what the address says: one stream, or all. */
function route() {
  const id = decodeURIComponent(location.hash.slice(1));
  warnings.about(id);
  document.getElementById("list").hidden = id !== "";
  document.getElementById("stream").hidden = id === "";
  stream?.close();
  stream = null;
  if (id === "") {
    document.title = "Unbuffered inspector";
    look();
    list.shown();
    return;
  }
  feed.close();
  stream = new Stream(document.getElementById("stream"), id, showFeed, () => {
    location.hash = "";
  });
  showFacts();
}

/** The feed of the list is open only while the list is looked at. */
function look() {
  if (stream !== null) return;
  if (document.visibilityState === "visible") feed.open();
  else feed.close();
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || testid("keys").open) return;
  if (isTaken(event)) return;
  if (event.key === "?" && !isTyping(event.target)) {
    event.preventDefault();
    testid("keys").showModal();
  } else if ((stream ?? list).pressed(event)) {
    event.preventDefault();
  }
}

addEventListener("hashchange", route);
addEventListener("keydown", pressed);
document.addEventListener("visibilitychange", look);
testid("help").addEventListener("click", () => testid("keys").showModal());
route();
