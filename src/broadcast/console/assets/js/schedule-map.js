// Places are chosen on a map as in the list: the boxes of the list are what is sent, the map shows them.

function boxesOf(pick) {
  if (pick.dataset.pickCommune) {
    const commune = document.querySelector(`[data-commune="${CSS.escape(pick.dataset.pickCommune)}"]`);
    return [...(commune?.querySelectorAll("input[name=place]") ?? [])];
  }
  const codes = new Set(pick.dataset.pickPlaces.split(" "));
  return [...document.querySelectorAll("#places input[name=place]")].filter((box) => codes.has(box.value));
}

function paint() {
  for (const pick of document.querySelectorAll("[data-pick-map] .pick")) {
    const boxes = boxesOf(pick);
    const checked = boxes.filter((box) => box.checked).length;
    const state = checked === 0 ? "false" : checked === boxes.length ? "true" : "mixed";
    pick.setAttribute("aria-checked", state);
  }
}

function toggle(pick) {
  const boxes = boxesOf(pick);
  const isChosen = boxes.every((box) => box.checked);
  for (const box of boxes) box.checked = !isChosen;
  boxes[0]?.dispatchEvent(new Event("change", { bubbles: true }));
}

document.addEventListener("click", (event) => {
  const pick = event.target.closest?.("[data-pick-map] .pick");
  if (pick) toggle(pick);
});

document.addEventListener("keydown", (event) => {
  const pick = event.target.closest?.("[data-pick-map] .pick");
  if (!pick || (event.key !== " " && event.key !== "Enter")) return;
  event.preventDefault();
  toggle(pick);
});

document.addEventListener("change", (event) => event.target.closest?.("[data-schedule-form]") && paint());
document.addEventListener("htmx:afterSwap", paint);
