// A press on the small map of a commune: latitude and longitude of that place, and a mark there.
document.addEventListener("click", (event) => {
  const map = event.target.closest?.("[data-place-map]");
  const form = map?.closest("form");
  if (!form) return;
  const { west, north, xScale, yScale, left, top } = map.dataset;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
  form.elements.longitude.value = ((at.x - left) / xScale + Number(west)).toFixed(5);
  form.elements.latitude.value = (Number(north) - (at.y - top) / yScale).toFixed(5);
  const here = map.querySelector("[data-here]");
  here.setAttribute("cx", at.x);
  here.setAttribute("cy", at.y);
});
