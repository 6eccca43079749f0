// The microphone: as it is, because what the browser takes for noise may be a drum.
import { upload } from "./maker-upload.js";

const TYPES = ["audio/webm;codecs=opus", "audio/mp4;codecs=opus", "audio/mp4"];
const BITS_A_SECOND = 96000;
const SOFT = 35;
const LOUD = 92;

const [record, pause, stop] = ["record", "pause", "stop"].map((name) => document.querySelector(`[data-${name}]`));
const clock = document.querySelector("[data-clock]");
const level = document.querySelector("[data-level]");
const meter = level.querySelector("meter");
const levelWords = level.querySelector("[data-level-words]");
const trouble = document.querySelector("[data-microphone]");
const pauseText = pause.textContent;

let recorder = null;
let hears = null;
let seconds = 0;
let ticking = null;

record.addEventListener("click", async () => {
  record.disabled = true; // while the browser asks for the microphone
  try {
    await begin();
  } finally {
    record.disabled = false;
  }
});
stop.addEventListener("click", () => recorder.stop());
pause.addEventListener("click", () => {
  if (recorder.state === "recording") recorder.pause();
  else recorder.resume();
  pause.textContent = recorder.state === "paused" ? pause.dataset.resumeText : pauseText;
});

async function begin() {
  trouble.textContent = "";
  if (!navigator.mediaDevices || !window.MediaRecorder) {
    trouble.textContent = trouble.dataset.unsupported;
    return;
  }
  let stream;
  try {
    const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...plain } });
  } catch (error) {
    trouble.textContent = error.name === "NotFoundError" ? trouble.dataset.missing : trouble.dataset.refused;
    return;
  }
  const pieces = [];
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_A_SECOND });
  recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
  recorder.addEventListener("stop", () => {
    const blob = new Blob(pieces, { type: recorder.mimeType });
    end(stream);
    upload(blob, `ghi-am.${recorder.mimeType.includes("webm") ? "webm" : "m4a"}`);
  });
  hears = meterOf(stream);
  recorder.start(1000);
  show(true);
  seconds = 0;
  ticking = setInterval(tick, 100);
}

function tick() {
  if (recorder.state === "recording") seconds += 0.1;
  clock.textContent = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const height = hears.height();
  meter.value = height;
  const kind = height > LOUD ? "loud" : height < SOFT ? "soft" : "fine";
  if (levelWords.dataset.kind !== kind) {
    levelWords.dataset.kind = kind;
    levelWords.textContent = levelWords.dataset[kind];
  }
}

function end(stream) {
  clearInterval(ticking);
  hears.close();
  for (const track of stream.getTracks()) track.stop();
  pause.textContent = pauseText;
  show(false);
}

function show(recording) {
  record.hidden = recording;
  pause.hidden = stop.hidden = level.hidden = !recording;
  (recording ? stop : record).focus();
}

/** Highest level of the last moments, 0-100 over 48 dB. */
function meterOf(stream) {
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 4096 });
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  return {
    height() {
      analyser.getFloatTimeDomainData(samples);
      const highest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-6);
      return Math.max(0, 100 * (1 + (20 * Math.log10(highest)) / 48));
    },
    close: () => context.close(),
  };
}

// Who closes the page in the middle of a recording is asked.
window.addEventListener("beforeunload", (event) => {
  if (recorder && recorder.state !== "inactive") event.preventDefault();
});
