// A recording goes to the draft with a bar; once it is there, the page may be left.
import { csrf, words } from "./request.js";

const form = document.querySelector("[data-maker]");
const box = document.querySelector("[data-uploading]");
const bar = box.querySelector("progress");
const error = document.querySelector("[data-field='file'] [data-error]");
let sending = null;

/** Send a recording; what was being sent is given up. */
export function upload(blob, name) {
  sending?.abort();
  error.textContent = "";
  bar.value = 0;
  box.hidden = false;
  const body = new FormData();
  body.append("file", blob, name);
  const request = (sending = new XMLHttpRequest());
  request.open("POST", `/api/v1/bulletin-drafts/${form.dataset.maker}/recording`);
  request.setRequestHeader("X-CSRF-Token", csrf());
  request.setRequestHeader("Accept", "application/json");
  request.upload.addEventListener("progress", (event) => {
    if (event.lengthComputable) bar.value = (100 * event.loaded) / event.total;
  });
  request.addEventListener("load", () => {
    if (request.status < 300) showSound();
    else say(JSON.parse(request.responseText).detail);
  });
  request.addEventListener("error", () => say(words().unreachable));
  request.addEventListener("loadend", () => {
    if (sending === request) box.hidden = true;
  });
  request.send(body);
}

function showSound() {
  const address = `/bulletin-drafts/${form.dataset.maker}/sound`;
  window.htmx.ajax("GET", address, { target: "#sound", swap: "outerHTML" });
}

function say(text) {
  error.textContent = text.replace(/^file: /, "");
  document.querySelector("[data-way='upload']").click();
}

document.querySelector("[data-file]").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) upload(file, file.name);
});
