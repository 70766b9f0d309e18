// One WebSocket for the page. It names the topics that `[data-live]` elements show; when one changes, the element gets
// a `live` event and htmx fetches its fragment again. What it says never replaces what the server would render.

const REFRESH_MS = 200;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const NOT_FOUND = 4404; // signed out, or no longer a member: asking again does not help

const path = document.body.dataset.liveUrl;
const badge = document.getElementById("stale");
const waiting = new Set();
let socket = null;
let failures = 0;
let subscribed = "";
let wasConnected = false;
let heard = new Set();

const shown = () => [...document.querySelectorAll("[data-live]")];
const topicsOf = (element) => element.dataset.live.split(" ").filter(Boolean);

// Topics wait, not elements: an answer that is on its way may replace the element before its turn comes.
function changed(topics) {
  if (!topics.size) return;
  if (!waiting.size) setTimeout(refresh, REFRESH_MS);
  for (const topic of topics) waiting.add(topic);
}

function refresh() {
  const due = new Set(waiting);
  waiting.clear();
  for (const element of shown()) {
    const topics = topicsOf(element).filter((topic) => due.has(topic));
    if (!topics.length) continue;
    // What is being fetched may be older than what was told meanwhile, so it is fetched once more.
    if (element.classList.contains("htmx-request")) changed(new Set(topics));
    else element.dispatchEvent(new CustomEvent("live", { bubbles: false }));
  }
}

function subscribe() {
  const topics = [...new Set(shown().flatMap(topicsOf))].sort();
  const message = JSON.stringify({ subscribe: topics });
  if (socket?.readyState !== WebSocket.OPEN || message === subscribed) return;
  socket.send(message);
  subscribed = message;
}

function opened() {
  failures = 0;
  subscribed = "";
  heard = new Set();
  wasConnected = true;
  badge.hidden = true;
  subscribe();
}

// What happened between rendering and subscribing was told to nobody, so a newly heard topic counts as changed.
function acknowledged(topics) {
  const before = heard;
  heard = new Set(topics);
  changed(new Set(topics.filter((topic) => !before.has(topic))));
}

function received(event) {
  const message = JSON.parse(event.data);
  if (message.subscribed) acknowledged(message.subscribed);
  else changed(new Set([message.topic]));
}

function closed(event) {
  if (event.code === NOT_FOUND) return turnedAway();
  failures += 1;
  badge.hidden = failures < 2 && !wasConnected;
  const longest = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS);
  setTimeout(connect, longest * (0.5 + Math.random() / 2));
}

function turnedAway() {
  badge.hidden = true;
  document.getElementById("turned-away").hidden = false;
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(`${scheme}//${location.host}${path}`);
  socket.addEventListener("open", opened);
  socket.addEventListener("message", received);
  socket.addEventListener("close", closed);
}

if (path && badge) {
  document.addEventListener("htmx:load", subscribe);
  connect();
}
