// Charts of a device, on its page alone. The figures are those of REST; a table stands beside them.
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const two = (number) => String(number).padStart(2, "0");
const DAY = 86400;

function ticks(_, values) {
  const isLong = values.length > 1 && values.at(-1) - values[0] > 2 * DAY;
  return values.map((value) => {
    const at = new Date(value * 1000);
    return isLong ? `${at.getDate()}/${at.getMonth() + 1}` : `${two(at.getHours())}:${two(at.getMinutes())}`;
  });
}

function moment(_, value) {
  if (value == null) return "–";
  const at = new Date(value * 1000);
  return `${two(at.getHours())}:${two(at.getMinutes())} ${at.getDate()}/${at.getMonth() + 1}`;
}

function series(chart, name) {
  const known = new Map(chart.points.map((point) => [Math.round(Date.parse(point.at) / 1000), point[name]]));
  const first = Math.min(...known.keys());
  const last = Math.max(...known.keys());
  const times = [];
  for (let at = first; at <= last; at += chart.step_seconds) times.push(at);
  return [times, times.map((at) => known.get(at) ?? null)];
}

function draw(place, chart, name, label, color) {
  const data = series(chart, name);
  if (!data[1].some((value) => value !== null)) return;
  const box = place.appendChild(document.createElement("div"));
  const css = getComputedStyle(document.documentElement);
  const text = css.getPropertyValue("--muted");
  const edge = css.getPropertyValue("--edge");
  const axis = { stroke: text, grid: { stroke: edge, width: 1 }, ticks: { stroke: edge, width: 1 } };
  const size = () => ({ width: Math.max(240, box.clientWidth), height: 180 });
  const plot = new uPlot(
    {
      ...size(),
      scales: { x: { time: true, range: [Date.parse(chart.since) / 1000, Date.parse(chart.until) / 1000] } },
      series: [
        { label: place.dataset.time, value: moment },
        { label, stroke: css.getPropertyValue(color), width: 2, points: { show: data[0].length < 3 } },
      ],
      axes: [{ ...axis, values: ticks }, axis],
    },
    data,
    box,
  );
  new ResizeObserver(() => plot.setSize(size())).observe(box);
}

async function show(place) {
  if (place.dataset.shown) return;
  place.dataset.shown = "true";
  const answer = await fetch(place.dataset.chart, { headers: { Accept: "application/json" } });
  if (!answer.ok) return;
  const chart = await answer.json();
  if (!chart.points.length) return;
  draw(place, chart, "signal_dbm", place.dataset.signal, "--accent");
  draw(place, chart, "temperature", place.dataset.temperature, "--partial");
}

const all = () => document.querySelectorAll("[data-chart]").forEach(show);
document.addEventListener("htmx:afterSettle", all);
all();
