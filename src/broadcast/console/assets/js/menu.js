// Menus close when something else is used.

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details[data-menu][open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

// On a wide page the menu is a row, whether it is open or not.
const wide = matchMedia("(min-width: 1000px)");
function widen() {
  const menu = document.querySelector(".menu");
  if (menu) menu.open = wide.matches;
}
wide.addEventListener("change", widen);
widen();
