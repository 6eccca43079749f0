// A button that must be held for a second: it cannot be pressed by accident. By the keyboard, too.
const HOLD_MS = 1000;
let timer;

// What comes anew by itself waits: it would take a held button from under the finger, and what is
// being written with it.
let stale = null;

function begin(event) {
  const button = event.target.closest?.("[data-hold]");
  if (!button || timer || (event.type === "keydown" && !["Enter", " "].includes(event.key))) return;
  event.preventDefault();
  button.classList.add("holding");
  timer = setTimeout(() => {
    end();
    button.dispatchEvent(new CustomEvent("held"));
  }, HOLD_MS);
}

function end() {
  clearTimeout(timer);
  timer = undefined;
  for (const button of document.querySelectorAll(".holding")) button.classList.remove("holding");
  refetch();
}

function isBusy(part) {
  return timer || part.querySelector("details[open]");
}

function refetch() {
  if (!stale || isBusy(stale)) return;
  stale.dispatchEvent(new CustomEvent("live"));
  stale = null;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target, requestConfig } = event.detail;
  if (requestConfig.triggeringEvent?.type !== "live" || !isBusy(target)) return;
  event.detail.shouldSwap = false;
  stale = target;
});
document.addEventListener("toggle", refetch, true);

for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, begin);
for (const type of ["pointerup", "pointercancel", "keyup", "blur"]) addEventListener(type, end);
