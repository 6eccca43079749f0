// Two ends of a recording, moved by mouse, finger or keyboard; the picture shows what is left out.
const SHORTEST = 1;

function prepare(box) {
  const whole = Number(box.dataset.seconds);
  const bars = box.querySelector("svg").viewBox.baseVal.width;
  const [start, end] = ["start", "end"].map((name) => box.querySelector(`[data-end="${name}"]`));
  const apply = box.querySelector("[data-apply]");
  const before = [start.value, end.value].join();

  function show() {
    const [from, to] = [Number(start.value), Number(end.value)];
    box.querySelector('[data-cut="start"]').setAttribute("width", (bars * from) / whole);
    const cut = box.querySelector('[data-cut="end"]');
    cut.setAttribute("x", (bars * to) / whole);
    cut.setAttribute("width", Math.max(0, bars - (bars * to) / whole));
    for (const input of [start, end]) {
      const text = clock(Number(input.value));
      input.setAttribute("aria-valuetext", text);
      box.querySelector(`[data-output="${input.dataset.end}"]`).textContent = text;
    }
    apply.disabled = [start.value, end.value].join() === before;
  }

  start.addEventListener("input", () => {
    start.value = Math.min(Number(start.value), Number(end.value) - SHORTEST);
    show();
  });
  end.addEventListener("input", () => {
    end.value = Math.max(Number(end.value), Number(start.value) + SHORTEST);
    show();
  });
  apply.addEventListener("click", () => {
    const isAll = Number(end.value) >= Number(end.max);
    const values = { start_seconds: start.value, ...(isAll ? {} : { end_seconds: end.value }) };
    window.htmx.ajax("POST", box.dataset.trim, { target: "#sound", swap: "outerHTML", values });
  });
  show();
}

function clock(seconds) {
  const text = (seconds % 60).toFixed(1).padStart(4, "0");
  return `${Math.floor(seconds / 60)}:${document.documentElement.lang === "vi" ? text.replace(".", ",") : text}`;
}

function look() {
  for (const box of document.querySelectorAll("[data-trim]:not([data-ready])")) {
    box.dataset.ready = "";
    prepare(box);
  }
}

document.addEventListener("htmx:afterSwap", look);
look();
