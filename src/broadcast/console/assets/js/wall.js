// A screen that nobody touches: one panel after the other, the time, and a word when what it shows
// has grown old. The space bar holds it.

const PANEL_MS = 15000;
const STALE_MS = 90000;
const RELOAD_MS = 6 * 3600 * 1000;

const wall = document.querySelector("[data-wall]");
if (wall) {
  const panels = [...document.querySelectorAll("[data-panel]")];
  const clock = new Intl.DateTimeFormat("vi-VN", { hour: "2-digit", minute: "2-digit", timeZone: "Asia/Ho_Chi_Minh" });
  let shown = 0;
  let isHeld = false;
  let fresh = Date.now();

  const show = () => panels.forEach((panel, index) => (panel.hidden = index !== shown));
  const next = () => {
    if (isHeld) return;
    shown = (shown + 1) % panels.length;
    show();
  };
  const tick = () => {
    document.querySelector("[data-wall-clock]").textContent = clock.format(Date.now());
    const stale = document.querySelector("[data-wall-stale]");
    stale.hidden = Date.now() - fresh < STALE_MS;
    stale.querySelector("[data-wall-since]").textContent = clock.format(fresh);
  };

  document.body.addEventListener("htmx:afterSwap", () => (fresh = Date.now()));
  document.addEventListener("keydown", (event) => {
    if (event.key === " ") isHeld = !isHeld;
    if (event.key === "ArrowRight") {
      shown = (shown + 1) % panels.length;
      show();
    }
  });
  show();
  tick();
  setInterval(next, PANEL_MS);
  setInterval(tick, 5000);
  setTimeout(() => location.reload(), RELOAD_MS);
}
