// Pages of people: copying what is shown once, adding a passkey.
import { register } from "./passkey.js";
import { send, words } from "./request.js";

function toast(kind, text) {
  document.dispatchEvent(new CustomEvent("toast", { detail: { kind, text } }));
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  const lines = [...source.querySelectorAll("li")].map((each) => each.textContent);
  try {
    await navigator.clipboard.writeText(lines.length ? lines.join("\n") : source.value);
    toast("ok", button.dataset.copied);
  } catch {
    source.select?.(); // without HTTPS a browser lets only a person copy
  }
});

const form = document.querySelector("[data-passkey-add]");
if (form && window.PublicKeyCredential) {
  form.hidden = false;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const options = await send("POST", "/api/v1/session/passkeys/options");
      const credential = await register(options);
      await send("POST", "/api/v1/session/passkeys", { label: form.label.value.trim(), credential });
      location.reload();
    } catch (problem) {
      toast("bad", problem.detail ?? words().failed);
    }
  });
}
