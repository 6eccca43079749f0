// One of the ways to make the sound is open at a time.
for (const button of document.querySelectorAll("[data-way]")) {
  button.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-way]")) {
      other.setAttribute("aria-pressed", String(other === button));
    }
    for (const part of document.querySelectorAll("[data-of-way]")) {
      part.hidden = part.dataset.ofWay !== button.dataset.way;
    }
  });
}
