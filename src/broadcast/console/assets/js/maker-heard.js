// Who has asked for the reading hears it as soon as it is ready.
let isAsked = false;

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.matches("[data-read]")) isAsked = true;
});

document.addEventListener("htmx:afterSwap", () => {
  const sound = document.querySelector("#sound[data-sound]");
  if (!isAsked || !sound) return;
  isAsked = false;
  // A browser that plays nothing unasked leaves it to the person.
  sound.querySelector("audio")?.play().catch(() => {});
});
