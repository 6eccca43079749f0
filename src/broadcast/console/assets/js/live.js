// One stream a page: it names what has changed, and parts that show it (`data-live`) are fetched
// again by HTMX (`hx-trigger="live"`), once for all that was told. A page in the background gives
// its stream back, because a browser has six connections to a host.
import { isSignedOut } from "./request.js";

const RETRY_MS = 5000;
let source = null;
let timer = null;
let missed = false;

function topics() {
  const found = [...document.querySelectorAll("[data-live]")].flatMap((each) => each.dataset.live.split(","));
  return [...new Set(found)].sort();
}

// Hundreds of pages hear of a change at once, and need not all ask at once.
const SPREAD_MS = 2000;
const changed = new Set();
let version = null;

function tellSoon(topic) {
  if (!changed.size) setTimeout(tell, Math.random() * SPREAD_MS);
  changed.add(topic);
}

function tell() {
  const parts = document.querySelectorAll("[data-live]");
  const concerned = [...parts].filter((each) => each.dataset.live.split(",").some((topic) => changed.has(topic)));
  changed.clear();
  for (const each of concerned) each.dispatchEvent(new CustomEvent("live", { detail: version }));
}

// The version that was told lets the server give all pages one answer; it is of this stream alone.
document.body.addEventListener("htmx:configRequest", ({ detail }) => {
  const told = detail.triggeringEvent;
  if (told?.type === "live" && told.detail) detail.headers["Live-Version"] = told.detail;
});

function offline(isOffline) {
  const notice = document.querySelector("[data-offline]");
  if (notice) notice.hidden = !isOffline;
}

function signedOut(isOut) {
  const notice = document.querySelector("[data-signed-out]");
  if (!notice) return;
  notice.querySelector("a").href = "/sign-in?next=" + encodeURIComponent(location.pathname + location.search);
  notice.hidden = !isOut;
}

// A stream says nothing of why it was refused.
async function isOver() {
  if (!(await isSignedOut())) return false;
  signedOut(true);
  offline(false);
  return true;
}

function open() {
  const wanted = topics();
  if (source || document.hidden || !wanted.length) return;
  source = new EventSource("/events?topics=" + wanted.join(","));
  source.onopen = () => {
    offline(false);
    signedOut(false);
    if (missed) wanted.forEach(tellSoon);
    missed = false;
  };
  source.onerror = async () => {
    close();
    offline(true);
    if ((await isOver()) || source) return;
    timer = setTimeout(open, RETRY_MS);
  };
  for (const topic of wanted) {
    source.addEventListener(topic, ({ data }) => {
      version = data;
      tellSoon(topic);
    });
  }
}

function close() {
  clearTimeout(timer);
  source?.close();
  source = null;
  version = null;
  missed = true;
}

document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
window.addEventListener("pagehide", close);
window.addEventListener("pageshow", open);
window.addEventListener("online", open);
open();
