const areas = new Map([...document.querySelectorAll("[data-map] [data-area]")].map((each) => [each.dataset.area, each]));

function paint() {
  for (const { dataset } of document.querySelectorAll("[data-place]")) {
    const area = areas.get(dataset.place);
    if (!area || area.dataset.condition === dataset.condition) continue;
    area.dataset.condition = dataset.condition;
    area.setAttribute("aria-label", dataset.title);
    area.querySelector("title").textContent = dataset.title;
  }
}

document.body.addEventListener("htmx:afterSwap", paint);
