// A reading is corrected in a dialog, and remembered for the station.
import { fields } from "./maker-draft.js";

const dialog = document.getElementById("reading");
const form = dialog.querySelector("form");

document.addEventListener("click", (event) => {
  const reading = event.target.closest?.("button.reading");
  if (!reading) return;
  form.elements.written.value = reading.dataset.written;
  form.elements.spoken.value = reading.dataset.spoken.replace(/[.?!]/g, "");
  dialog.showModal();
  form.elements.spoken.select();
});

form.querySelector("[data-close]").addEventListener("click", () => dialog.close());
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { area_code, text } = fields();
  const values = { written: form.elements.written.value, spoken: form.elements.spoken.value, area_code, text };
  await window.htmx.ajax("POST", form.dataset.readingForm, { source: form, target: "#words", swap: "innerHTML", values });
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id === "words") dialog.close();
});
