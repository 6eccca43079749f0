// The order of a session's items: by buttons, or dragged; what is shown is sent at once.

const list = () => document.querySelector("[data-order]");
let lifted = null;
let back = null; // what had the focus before the part was replaced

function send(item, shift = null) {
  back = { id: item.id, shift };
  window.htmx.trigger(document.getElementById("order"), "reorder");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-shift]");
  if (!button) return;
  const item = button.closest("li");
  const other = button.dataset.shift < 0 ? item.previousElementSibling : item.nextElementSibling;
  if (!other) return;
  if (button.dataset.shift < 0) other.before(item);
  else other.after(item);
  send(item, button.dataset.shift);
});

document.addEventListener("dragstart", (event) => {
  lifted = event.target.closest?.("[data-order] > li[draggable]") ?? null;
  lifted?.classList.add("moving");
});

document.addEventListener("dragover", (event) => {
  const over = lifted && event.target.closest?.("[data-order] > li");
  if (!over) return;
  event.preventDefault();
  const box = over.getBoundingClientRect();
  if (over === lifted) return;
  if (event.clientY < box.top + box.height / 2) over.before(lifted);
  else over.after(lifted);
});

document.addEventListener("drop", (event) => lifted && event.preventDefault());

document.addEventListener("dragend", () => {
  if (!lifted) return;
  lifted.classList.remove("moving");
  const item = lifted;
  lifted = null;
  if (list()) send(item);
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (!back || event.detail.target.id !== "session") return; // other parts are fetched again meanwhile
  const item = document.getElementById(back.id);
  const wanted = item?.querySelector(`button[data-shift="${back.shift ?? -1}"]:enabled`);
  (wanted ?? item?.querySelector("button:enabled"))?.focus();
  back = null;
});

// Refused: the order is again what the server has.
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.elt?.id === "order") setTimeout(() => location.reload(), 4000);
});
