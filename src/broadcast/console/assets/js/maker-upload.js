// A recording goes to the draft with a bar; once it is there, the page may be left.
import { csrf, parsed, words } from "./request.js";

const form = document.querySelector("[data-maker]");
const box = document.querySelector("[data-uploading]");
const bar = box.querySelector("progress");
const again = document.querySelector("[data-unsent]");
const error = document.querySelector("[data-field='file'] [data-error]");
let sending = null;
let unsent = null;

/** Send a recording; what was being sent is given up. Until it has arrived it is kept here. */
export function upload(blob, name) {
  sending?.abort();
  unsent = { blob, name };
  again.hidden = true;
  error.textContent = "";
  bar.value = 0;
  box.hidden = false;
  const body = new FormData();
  body.append("file", blob, name);
  const request = (sending = new XMLHttpRequest());
  const original = form.elements.original_revision?.value;
  const query = original ? `?original_revision=${original}` : "";
  request.open("POST", `/api/v1/bulletin-drafts/${form.dataset.maker}/recording${query}`);
  request.setRequestHeader("X-CSRF-Token", csrf());
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
  });
  request.addEventListener("load", () => {
    const answer = parsed(request.responseText, request.status);
    if (request.status >= 300) return say(answer.detail);
    unsent = null;
    showSound();
  });
  request.addEventListener("error", () => say(words().unreachable));
  request.addEventListener("loadend", () => {
    if (sending === request) box.hidden = true;
  });
  request.send(body);
}

/** Show the sound of the draft as it is now. */
export function showSound() {
  const address = `/bulletin-drafts/${form.dataset.maker}/sound`;
  window.htmx.ajax("GET", address, { target: "#sound", swap: "outerHTML" });
}

function say(text) {
  error.textContent = text.replace(/^file: /, "");
  document.querySelector("[data-way='upload']").click();
  const kept = again.querySelector("a");
  URL.revokeObjectURL(kept.href);
  kept.href = URL.createObjectURL(unsent.blob);
  kept.download = unsent.name;
  again.hidden = false;
}

again.querySelector("button").addEventListener("click", () => upload(unsent.blob, unsent.name));
// What was made of the form, or thrown away with it, is not missed.
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr, requestConfig } }) => {
  const ends = requestConfig.elt.matches("form[data-maker], [hx-post$='/discard']");
  if (ends && xhr.status < 300) unsent = null;
});
window.addEventListener("beforeunload", (event) => {
  if (unsent) event.preventDefault();
});

document.querySelector("[data-file]").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) upload(file, file.name);
});
