// The calendar and the form of a schedule: moving by pointer and keyboard, remedies as buttons.
import "./schedule-map.js";

const STEP_MINUTES = 5;
const dialog = () => document.getElementById("move");

// --- moments, in the wall time that the page shows -----------------------------------------------

function plus(local, minutes) {
  const [day, time] = local.split("T");
  const at = new Date(`${day}T${time}:00Z`);
  at.setUTCMinutes(at.getUTCMinutes() + minutes);
  return at.toISOString().slice(0, 16);
}

function named(local) {
  const [day, time] = local.split("T");
  const [, month, date] = day.split("-").map(Number);
  return `${time} ${date}/${month}`;
}

// --- the dialog ----------------------------------------------------------------------------------

async function open(block, to) {
  const [day, time] = to.split("T");
  const sheet = document.getElementById("sheet");
  const back = sheet?.dataset.back ?? location.pathname;
  await window.htmx.ajax("POST", block.dataset.move, {
    source: block,
    target: "#move-body",
    swap: "innerHTML",
    values: { day, time, reach: "this", back },
  });
  const shown = dialog();
  if (!document.querySelector("#move-body form")) return; // refused: a toast has said why
  shown.onclose = () => {
    document.getElementById(block.id)?.focus();
    refetch();
  };
  shown.showModal();
  (shown.querySelector("[data-yes-move]:enabled") ?? shown.querySelector("[data-close-dialog]")).focus();
}

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-close-dialog]")) dialog().close();
  const button = event.target.closest("button[data-move]");
  if (button) open(button, button.dataset.starts);
});

// --- by keyboard ---------------------------------------------------------------------------------

const SHIFTS = { ArrowUp: -STEP_MINUTES, ArrowDown: STEP_MINUTES, ArrowLeft: -1440, ArrowRight: 1440 };
let pending = null; // { block, to }
let drag = null; // { block, x, y, to }

function say(text) {
  const said = document.getElementById("move-said");
  if (said) said.textContent = text;
}

function forget() {
  pending?.block.classList.remove("moving");
  pending = null;
  show(null);
  refetch();
}

// What is under the finger is not replaced: the sheet is fetched again when it is let go.
let isStale = false;

document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id !== "sheet" || !(pending || drag || dialog()?.open)) return;
  event.detail.shouldSwap = false;
  isStale = true;
});

function refetch() {
  if (isStale && !pending && !drag) document.getElementById("sheet")?.dispatchEvent(new CustomEvent("live"));
  isStale = false;
}

function show(to, x, y) {
  const ghost = document.getElementById("move-ghost");
  if (!ghost) return;
  ghost.hidden = !to;
  if (!to) return;
  ghost.textContent = named(to);
  ghost.style.setProperty("left", `${x}px`);
  ghost.style.setProperty("top", `${y}px`);
}

document.addEventListener("keydown", (event) => {
  const block = event.target.closest?.("a[data-move]");
  if (!block) return;
  if (event.key in SHIFTS && !event.altKey && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    if (pending?.block !== block) forget();
    const minutes = SHIFTS[event.key] * (event.shiftKey && Math.abs(SHIFTS[event.key]) < 60 ? 12 : 1);
    pending = { block, to: plus(pending?.to ?? block.dataset.starts, minutes) };
    block.classList.add("moving");
    const box = block.getBoundingClientRect();
    show(pending.to, box.left, box.bottom);
    const said = document.getElementById("move-said");
    say(`${said.dataset.template} ${named(pending.to)}. ${said.dataset.confirm}`);
  } else if (event.key === "Enter" && pending?.block === block) {
    event.preventDefault();
    const { to } = pending;
    forget();
    open(block, to);
  } else if (event.key === "Escape") {
    forget();
    say("");
  }
});

document.addEventListener("focusout", (event) => {
  if (pending && event.target === pending.block) forget();
});

// --- by pointer: a mouse at once, a finger once it has rested, for until then it scrolls ------------

const REST_MS = 350;
const EDGE_PIXELS = 70; // there the page goes on under what is dragged
let resting = null;

function target(x, y) {
  const cell = document.elementFromPoint(x, y)?.closest("td[data-day]");
  if (!cell) return null;
  const box = cell.getBoundingClientRect();
  const share = Math.min(Math.max((y - box.top) / box.height, 0), 0.999);
  const minute = Math.floor((share * 60) / STEP_MINUTES) * STEP_MINUTES;
  const two = (value) => String(value).padStart(2, "0");
  return `${cell.dataset.day}T${two(cell.dataset.hour)}:${two(minute)}`;
}

function lift({ block, x, y }) {
  drag.to = block.dataset.starts;
  block.classList.add("moving");
  show(drag.to, x + 12, y + 12);
}

function letGo() {
  clearTimeout(resting);
  drag?.block.classList.remove("moving");
  drag = null;
  show(null);
}

document.addEventListener("pointerdown", (event) => {
  const block = event.target.closest("a[data-move]");
  if (!block || event.button !== 0 || !event.isPrimary) return;
  const isFinger = event.pointerType === "touch";
  drag = { block, x: event.clientX, y: event.clientY, to: null, isFinger };
  if (isFinger) resting = setTimeout(() => lift(drag), REST_MS);
});

document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const { clientX: x, clientY: y } = event;
  if (!drag.to) {
    if (Math.hypot(x - drag.x, y - drag.y) < 6) return;
    if (drag.isFinger) return letGo(); // it scrolls
    lift(drag);
  }
  if (y < EDGE_PIXELS) scrollBy(0, -12);
  else if (y > innerHeight - EDGE_PIXELS) scrollBy(0, 12);
  drag.to = target(x, y) ?? drag.to;
  show(drag.to, x + 12, y + 12);
});

// What is dragged does not scroll; only a listener that is not passive can say so.
document.addEventListener("touchmove", (event) => drag?.to && event.preventDefault(), { passive: false });
document.addEventListener("contextmenu", (event) => drag?.isFinger && event.preventDefault());

document.addEventListener("pointerup", () => {
  if (!drag) return;
  const { block, to } = drag;
  letGo();
  if (!to) return refetch();
  const stay = (event) => event.preventDefault();
  block.addEventListener("click", stay, { once: true, capture: true });
  setTimeout(() => {
    block.removeEventListener("click", stay, { capture: true });
    open(block, to);
  });
});

document.addEventListener("pointercancel", () => {
  letGo();
  refetch();
});
document.addEventListener("dragstart", (event) => {
  if (event.target.closest?.("a[data-move]")) event.preventDefault();
});

// --- fields that a remedy or a free time sets ------------------------------------------------------

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-fields]");
  if (!button) return;
  const form = button.closest("form[data-fill]");
  const fields = JSON.parse(button.dataset.fields);
  for (const [name, value] of Object.entries(fields)) fill(form, name, value);
  form.dispatchEvent(new Event("change", { bubbles: true }));
});

function fill(form, name, value) {
  if (name === "targets") {
    const areas = new Set(value.map((each) => each.area).filter(Boolean));
    const clusters = new Set(value.map((each) => each.cluster).filter(Boolean));
    for (const box of form.querySelectorAll("input[name=place]")) {
      const commune = box.closest("[data-commune]")?.dataset.commune;
      box.checked = areas.has(box.value) || areas.has(commune);
    }
    for (const hidden of form.querySelectorAll("input[name=cluster]")) {
      if (!clusters.has(hidden.value)) hidden.remove();
    }
  } else if (name === "rrule") {
    form.querySelector("input[name=repeat][value=once]").checked = true;
  } else if (form.elements[name]) {
    form.elements[name].value = value;
  }
}

// --- villages: all of a commune, and those whose name is sought ------------------------------------

function plain(text) {
  return text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replaceAll("đ", "d");
}

function boxes(fieldset) {
  return [...fieldset.querySelectorAll("input[name=place]")];
}

function refresh(form) {
  for (const fieldset of form.querySelectorAll("[data-commune]")) {
    const all = fieldset.querySelector("[data-all]");
    const every = boxes(fieldset);
    const checked = every.filter((box) => box.checked).length;
    all.checked = every.length > 0 && checked === every.length;
    all.indeterminate = checked > 0 && checked < every.length;
  }
  const repeat = form.querySelector("input[name=repeat]:checked")?.value;
  for (const part of form.querySelectorAll("[data-when]")) {
    part.hidden = !part.dataset.when.split(" ").includes(repeat);
  }
}

document.addEventListener("change", (event) => {
  const form = event.target.closest?.("[data-schedule-form]") ?? null;
  if (!form) return;
  if (event.target.matches("[data-all]")) {
    for (const box of boxes(event.target.closest("[data-commune]"))) box.checked = event.target.checked;
  }
  refresh(form);
}, true);

document.addEventListener("input", (event) => {
  const search = event.target.closest("[data-find]");
  if (!search) return;
  const wanted = plain(search.value.trim());
  for (const fieldset of document.querySelectorAll(`${search.dataset.find} [data-commune]`)) {
    const isCommune = plain(fieldset.querySelector("legend").textContent).includes(wanted);
    let any = isCommune;
    for (const box of boxes(fieldset)) {
      const line = box.closest(".check");
      line.hidden = !isCommune && !plain(line.textContent).includes(wanted);
      any ||= !line.hidden;
    }
    fieldset.hidden = !any;
    if (wanted && any && !isCommune) fieldset.querySelector("details").open = true;
  }
});

// A draft that becomes a schedule is not to come back.
let isEnding = false;

document.addEventListener("htmx:beforeRequest", (event) => {
  const { path } = event.detail.requestConfig;
  if (path === "/schedule/new" || path === "/schedule/new/discard") isEnding = true;
  else if (path === "/schedule/new/draft" && isEnding) event.preventDefault();
});
for (const name of ["htmx:responseError", "htmx:sendError"]) {
  document.addEventListener(name, () => (isEnding = false));
}

// What the check has found decides whether it can be saved.
document.addEventListener("htmx:afterSwap", () => {
  const refused = document.querySelector("#check [data-refused]")?.dataset.refused === "true";
  for (const button of document.querySelectorAll("[data-save]")) button.disabled = refused;
});

for (const form of document.querySelectorAll("[data-schedule-form]")) refresh(form);
