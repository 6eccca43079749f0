// `hx-confirm` in a dialog of ours: it says the consequence in words that can be read. A button that
// sends its form may have a question of its own, which HTMX alone would not ask.
import { words } from "./request.js";

const confirmed = new WeakSet();

/** What was confirmed is sent again, after a second factor, without being asked once more. */
export function asConfirmed(elt) {
  confirmed.add(elt);
}

document.addEventListener("htmx:confirm", (event) => {
  const { elt, issueRequest, triggeringEvent } = event.detail;
  const button = triggeringEvent?.submitter;
  const question = event.detail.question ?? button?.getAttribute("hx-confirm");
  const isConfirmed = confirmed.delete(elt);
  if (!question) return;
  event.preventDefault();
  if (isConfirmed) {
    issueRequest(true);
    return;
  }
  const dialog = document.getElementById("confirm");
  dialog.querySelector("#confirm-text").textContent = question;
  dialog.querySelector("[data-yes]").textContent = elt.dataset.yes ?? words().yes;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") issueRequest(true);
    else (button ?? elt).focus();
  };
  dialog.showModal();
});
