import htmx from "htmx.org";
import { csrf } from "./request.js";

window.htmx = htmx;

// Nothing here moves into its place: what has come is there at once (20 ms earlier).
htmx.config.defaultSettleDelay = 0;

// An error is said beside the form, which keeps what was typed: nothing is swapped for it.
htmx.config.responseHandling = [
  { code: "204", swap: false },
  { code: "[23]..", swap: true },
  { code: "...", swap: false, error: true },
];

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF-Token"] = csrf();
});
