import { assert } from "./passkey.js";
import { show } from "./problems.js";
import { send } from "./request.js";

const button = document.querySelector("[data-passkey-sign-in]");
if (button && window.PublicKeyCredential) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      const options = await send("POST", "/api/v1/sign-in/passkey/options");
      await send("POST", "/api/v1/sign-in/passkey", { credential: await assert(options) });
      location.assign(button.dataset.next);
    } catch (problem) {
      show(button, problem);
    }
  });
}

// The code of a one-time link stands behind the #, which no browser sends by itself.
const setup = document.querySelector("[data-setup]");
if (setup) {
  setup.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(setup));
    const body = { code: location.hash.slice(1), password: given.password };
    if (given.login) Object.assign(body, { login: given.login, name: given.name });
    try {
      await send("POST", "/api/v1/setup", body);
      location.assign("/");
    } catch (problem) {
      show(setup, problem);
    }
  });
}
