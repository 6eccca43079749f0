// A sound that must be heard to its end before a form can be sent: every second of it was played,
// in whatever order; the form then says which sound it was, by its SHA-256.

const REST_SECONDS = 0.5; // players leave out the last fraction

for (const form of document.querySelectorAll("form[data-heard]")) watch(form);

function watch(form) {
  const sound = document.getElementById(form.dataset.heard);
  const bar = sound?.closest("section")?.querySelector("progress");
  if (!sound) return;
  const look = () => {
    if (!Number.isFinite(sound.duration)) return;
    const left = sound.duration - seconds(sound.played);
    if (bar) bar.value = Math.min(100, (100 * seconds(sound.played)) / sound.duration);
    if (left > REST_SECONDS) return;
    form.elements.heard_sha256.value = sound.dataset.sha256;
    form.querySelector("button").disabled = false;
    if (bar) bar.value = 100;
  };
  // The link said that it would be heard. A browser that plays nothing unasked leaves it to the person.
  if (location.hash === "#hear") sound.play().catch(() => {});
  for (const event of ["timeupdate", "ended", "pause"]) sound.addEventListener(event, look);
}

function seconds(ranges) {
  let sum = 0;
  for (let each = 0; each < ranges.length; each++) sum += ranges.end(each) - ranges.start(each);
  return sum;
}
