// `hx-confirm` in a dialog of ours: it says the consequence in words that can be read.
import { words } from "./request.js";

document.addEventListener("htmx:confirm", (event) => {
  const { question, elt, issueRequest } = event.detail;
  if (!question) return;
  event.preventDefault();
  const dialog = document.getElementById("confirm");
  dialog.querySelector("#confirm-text").textContent = question;
  dialog.querySelector("[data-yes]").textContent = elt.dataset.yes ?? words().yes;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") issueRequest(true);
    else elt.focus();
  };
  dialog.showModal();
});
