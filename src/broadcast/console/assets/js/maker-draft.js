// The form is kept on the server every five seconds while it changes, and when the page is left.
import { csrf, send } from "./request.js";
import { showSound } from "./maker-upload.js";

const EVERY_MS = 5000;

const form = document.querySelector("[data-maker]");
const line = document.querySelector("[data-saved]");
const address = `/api/v1/bulletin-drafts/${form.dataset.maker}`;
let kept = JSON.stringify(fields());
let saving = false;
let ending = false;

// A draft that becomes a bulletin, or is discarded, is not to come back.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (/^\/bulletin-drafts\/[^/]+\/(finish|discard)$/.test(event.detail.requestConfig.path)) ending = true;
});
for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, () => (ending = false));
}

/** What was typed, as REST takes it. */
export function fields() {
  const found = Object.fromEntries(new FormData(form));
  if (found.original_revision) found.original_revision = Number(found.original_revision);
  return found;
}

async function save() {
  const now = JSON.stringify(fields());
  if (saving || ending || now === kept) return;
  saving = true;
  try {
    const draft = await send("PUT", address, JSON.parse(now));
    kept = now;
    if (document.querySelector("#sound[data-sound='done']") && draft.sound?.state !== "done") showSound();
    line.textContent = `${line.dataset.saved} ${draft.saved_at.slice(11, 16)}`;
  } catch (problem) {
    line.textContent = problem.status ? problem.detail : line.dataset.unsaved;
  } finally {
    saving = false;
  }
}

setInterval(save, EVERY_MS);

// A page that is left cannot wait for an answer.
document.addEventListener("visibilitychange", () => {
  const now = JSON.stringify(fields());
  if (!document.hidden || ending || now === kept) return;
  fetch(address, {
    method: "PUT",
    keepalive: true,
    headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf() },
    body: now,
  });
});

// To have the text read gives up a recording: that is asked first.
function askFirst() {
  const read = document.querySelector("[data-read]");
  const isRecorded = document.querySelector("#sound[data-kind='upload']") !== null;
  if (isRecorded) read.setAttribute("hx-confirm", read.dataset.replaces);
  else read.removeAttribute("hx-confirm");
}
document.addEventListener("htmx:afterSwap", askFirst);
askFirst();
