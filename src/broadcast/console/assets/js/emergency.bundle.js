// A button that must be held for a second: it cannot be pressed by accident. By the keyboard, too.
const HOLD_MS = 1000;
let timer;

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
}

for (const type of ["pointerdown", "keydown"]) document.addEventListener(type, begin);
for (const type of ["pointerup", "pointercancel", "keyup", "blur"]) addEventListener(type, end);
