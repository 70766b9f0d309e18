// One WebSocket for the page. It names the topics that `[data-live]` elements show; when one changes, the element gets
// a `live` event and htmx fetches its fragment again. What it says never replaces what the server would render.
// After a loss it says up to where it was told (`since`), and is told what it missed. An element with
// `data-live-every` (seconds) is fetched no more often than that, and once more after the last change.

const REFRESH_MS = 200;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
const STALE_MS = 5_000;
const SECOND_MS = 1_000;
const NOT_FOUND = 4404; // signed out, or no longer a member: asking again does not help

const path = document.body.dataset.liveUrl;
const badge = document.getElementById("stale");
const waiting = new Set();
const owed = new Set(); // topics whose fragment could not be fetched
const fetchedAt = new Map(); // by the element's id, because answers replace elements
const putOff = new Set(); // ids of elements whose turn comes later
let socket = null;
let retry = 0;
let failures = 0;
let awaySince = Date.now();
let at = "";
let subscribed = "";
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
    else if (pauseOf(element) > 0) putOffUntilDue(element, topics);
    else fetchAgain(element);
  }
}

function fetchAgain(element) {
  fetchedAt.set(element.id, performance.now());
  element.dispatchEvent(new CustomEvent("live", { bubbles: false }));
}

function pauseOf({ id, dataset }) {
  const every = Number(dataset.liveEvery ?? 0) * SECOND_MS;
  return (fetchedAt.get(id) ?? -Infinity) + every - performance.now();
}

function putOffUntilDue(element, topics) {
  const { id } = element;
  if (putOff.has(id)) return;
  putOff.add(id);
  setTimeout(() => {
    putOff.delete(id);
    changed(new Set(topics));
  }, pauseOf(element));
}

function subscribe() {
  const topics = [...new Set(shown().flatMap(topicsOf))].sort();
  if (socket?.readyState !== WebSocket.OPEN || subscribed === String(topics)) return;
  socket.send(JSON.stringify({ subscribe: topics, since: at }));
  subscribed = String(topics);
}

function opened() {
  failures = 0;
  subscribed = null;
  subscribe();
}

// What happened between rendering and subscribing was told to nobody, so a newly heard topic counts as changed.
function acknowledged(topics) {
  changed(new Set([...topics.filter((topic) => !heard.has(topic)), ...owed]));
  heard = new Set(topics);
  owed.clear();
  awaySince = 0;
  badge.hidden = true;
}

function received(event) {
  const message = JSON.parse(event.data);
  at = message.at ?? at;
  // Nobody knows any more what was missed, so everything counts as changed.
  if (message.missed === null) heard = new Set();
  if (message.subscribed) acknowledged(message.subscribed);
  else if (message.missed === null) changed(new Set(shown().flatMap(topicsOf)));
  changed(new Set(message.missed ?? [message.topic].filter(Boolean)));
}

function closed(event) {
  if (event.code === NOT_FOUND) return turnedAway();
  awaySince ||= Date.now();
  failures += 1;
  const longest = Math.min(FIRST_RETRY_MS * 2 ** (failures - 1), LONGEST_RETRY_MS);
  retry = setTimeout(connect, longest * (0.5 + Math.random() / 2));
}

function turnedAway() {
  awaySince = 0;
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

function connectNow() {
  if (!awaySince || socket.readyState !== WebSocket.CLOSED) return;
  clearTimeout(retry);
  connect();
}

function tell() {
  const away = awaySince ? Date.now() - awaySince : 0;
  badge.hidden = away < STALE_MS;
  if (!badge.hidden) badge.querySelector("[data-stale-for]").textContent = inWords(Math.floor(away / SECOND_MS));
}

const inWords = (seconds) => (seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`);

function failed({ target }) {
  if (!target.dataset?.live) return;
  for (const topic of topicsOf(target)) owed.add(topic);
  if (!awaySince) setTimeout(payBack, STALE_MS);
}

function payBack() {
  if (awaySince) return; // paid when the socket is back
  changed(new Set(owed));
  owed.clear();
}

if (path && badge) {
  document.addEventListener("htmx:load", subscribe);
  for (const failure of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) document.addEventListener(failure, failed);
  badge.querySelector("[data-stale-retry]").addEventListener("click", connectNow);
  addEventListener("online", connectNow);
  setInterval(tell, SECOND_MS);
  connect();
}
