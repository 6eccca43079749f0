// Refused requests of HTMX: said at their field or in a toast; a missing second factor is asked for,
// and the request sent again as it was.
import htmx from "htmx.org";
import { asConfirmed } from "./confirm.js";
import { isSignedOut, send, words } from "./request.js";
import { assert } from "./passkey.js";

document.addEventListener("htmx:beforeRequest", (event) => clear(event.detail.elt));
document.addEventListener("htmx:sendError", () => toast("bad", words().unreachable));
document.addEventListener("htmx:responseError", async (event) => {
  const { xhr, elt, requestConfig } = event.detail;
  const problem = parse(xhr.responseText);
  if (xhr.status === 401) {
    if (!asked.has(elt) && !(await isSignedOut())) {
      asked.add(elt);
      again(elt, requestConfig);
    } else {
      location.assign("/sign-in?next=" + encodeURIComponent(location.pathname + location.search));
    }
  } else if (problem.type?.endsWith(":second-factor-required")) {
    secondFactor(() => again(elt, requestConfig));
  } else {
    show(elt, problem);
  }
});

const asked = new WeakSet();
document.addEventListener("htmx:afterRequest", ({ detail }) => detail.successful && asked.delete(detail.elt));

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { detail: words().failed };
  }
}

function again(elt, config) {
  asConfirmed(elt);
  htmx.ajax(config.verb, config.path, {
    source: elt,
    target: config.target,
    values: Object.fromEntries(Object.entries(config.parameters ?? {})),
  });
}

function clear(elt) {
  const form = elt.closest?.("form");
  for (const field of form?.querySelectorAll("[data-field]") ?? []) mark(field, "");
}

function mark(field, text) {
  const input = field.querySelector("input, select, textarea");
  const error = field.querySelector("[data-error]");
  if (error) error.textContent = text;
  if (text) input?.setAttribute("aria-invalid", "true");
  else input?.removeAttribute("aria-invalid");
}

/** Say a problem: at the field that it names, else in a toast. */
export function show(elt, problem) {
  const form = elt?.closest?.("form");
  const field = problem.field && form?.querySelector(`[data-field="${CSS.escape(problem.field)}"]`);
  if (field) {
    const prefix = `${problem.field}: `;
    const text = problem.detail.startsWith(prefix) ? problem.detail.slice(prefix.length) : problem.detail;
    mark(field, text);
    field.querySelector("input, select, textarea")?.focus();
  } else {
    toast("bad", problem.detail ?? words().failed);
  }
}

/** A short message at the edge of the page; what went wrong stays until it is closed. */
export function toast(kind, text) {
  const box = document.createElement("div");
  box.className = `notice ${kind}`;
  const message = document.createElement("p");
  message.textContent = text;
  const close = document.createElement("button");
  close.type = "button";
  close.className = "button quiet";
  close.textContent = words().close;
  close.addEventListener("click", () => box.remove());
  box.append(message, close);
  document.getElementById("toasts").append(box);
  if (kind === "ok") setTimeout(() => box.remove(), 6000);
}

// The server names a message of its own by the header HX-Trigger: {"toast": {"kind", "text"}}.
document.addEventListener("toast", (event) => toast(event.detail.kind, event.detail.text));

/** Ask for the second factor, then go on. */
export function secondFactor(next) {
  const dialog = document.getElementById("second-factor");
  const form = dialog.querySelector("form");
  const field = form.querySelector("[data-field]");
  const passkey = form.querySelector("[data-passkey]");
  mark(field, "");
  form.reset();
  passkey.hidden = !window.PublicKeyCredential;
  form.onsubmit = async (event) => {
    event.preventDefault();
    await shown(() => send("POST", "/api/v1/session/second-factor", { code: form.code.value.trim() }));
  };
  passkey.onclick = () =>
    shown(async () => {
      const options = await send("POST", "/api/v1/session/second-factor/passkey/options");
      return send("POST", "/api/v1/session/second-factor/passkey", { credential: await assert(options) });
    });
  form.querySelector("[data-close]").onclick = () => dialog.close();
  dialog.showModal();

  async function shown(way) {
    try {
      await way();
    } catch (problem) {
      mark(field, problem.detail ?? words().failed);
      return;
    }
    dialog.close();
    next();
  }
}
