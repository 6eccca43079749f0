// Live speech: microphone → Opus → WebSocket. Nothing is sent before the button was held and the
// count is over; frames are counted on while the connection is away, so that what was missed stays
// missed and the voice never lags behind.
import "./hold.js";

const RATE = 48000;
const FRAME_MS = 40;
const OPUS = 0;
const PCM = 1;
const BITS_A_SECOND = 16000;
const COUNT_IN = 3;
const MOST_WAITING_BYTES = 20000;
const SOFT = 40;
const LOUD = 95;
const RECONNECT_MS = 1000;

const root = document.querySelector("[data-speech]");
const part = (name) => root.querySelector(`[data-${name}]`);
const words = root.dataset;
const [test, begin, stop, level, say, count, heard] = ["test", "begin", "stop", "level", "say", "count", "heard"].map(part);
const meter = level.querySelector("meter");
const levelWords = level.querySelector("[data-level-words]");

let context = null;
let encoder = null;
let socket = null;
let speaking = false;
let wanted = false;
let frames = 0;
let lock = null;

test.addEventListener("click", listen);
begin.addEventListener("held", () => {
  begin.hidden = true;
  wanted = true;
  tell(words.connecting);
  connect();
});
stop.addEventListener("click", () => {
  wanted = speaking = false;
  stop.disabled = true;
  tell(words.stopping);
  if (socket?.readyState === WebSocket.OPEN) socket.send("stop");
  else location.reload();
});
addEventListener("beforeunload", (event) => {
  if (wanted) event.preventDefault();
});

/** The microphone, heard by nobody yet; its loudness is shown. */
async function listen() {
  if (!navigator.mediaDevices || !window.AudioWorkletNode) {
    trouble(words.unsupported);
    return;
  }
  let stream;
  try {
    const voice = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, ...voice } });
  } catch (error) {
    trouble(error.name === "NotFoundError" ? words.missing : words.refused);
    return;
  }
  context = new AudioContext({ sampleRate: RATE });
  await context.audioWorklet.addModule(root.dataset.worklet);
  const node = new AudioWorkletNode(context, "frames", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
  node.port.onmessage = ({ data }) => take(data);
  context.createMediaStreamSource(stream).connect(node);
  for (const track of stream.getTracks()) track.addEventListener("ended", () => trouble(words.lost));
  encoder = await makeEncoder();
  test.hidden = true;
  level.hidden = begin.hidden = false;
  tell(words.ready);
  begin.focus();
}

/** An encoder of the browser; null where the server has to do it. */
async function makeEncoder() {
  const wish = {
    codec: "opus",
    sampleRate: RATE,
    numberOfChannels: 1,
    bitrate: BITS_A_SECOND,
    opus: { frameDuration: FRAME_MS * 1000, application: "voip" },
  };
  try {
    if (!(await AudioEncoder.isConfigSupported(wish)).supported) return null;
    const made = new AudioEncoder({
      output: (chunk) => {
        const bytes = new Uint8Array(chunk.byteLength);
        chunk.copyTo(bytes);
        send(Math.round(chunk.timestamp / (FRAME_MS * 1000)), OPUS, bytes);
      },
      error: () => {
        encoder = null;
      },
    });
    made.configure(wish);
    return made;
  } catch {
    return null;
  }
}

function take(samples) {
  showLevel(samples);
  if (!speaking) return;
  const number = frames;
  frames += 1;
  if (encoder?.state === "configured") {
    const timestamp = number * FRAME_MS * 1000;
    const data = new AudioData({ format: "f32", sampleRate: RATE, numberOfFrames: samples.length, numberOfChannels: 1, timestamp, data: samples });
    encoder.encode(data);
    data.close();
    return;
  }
  const bytes = new DataView(new ArrayBuffer(samples.length * 2));
  samples.forEach((each, place) => bytes.setInt16(place * 2, Math.max(-1, Math.min(1, each)) * 32767, true));
  send(number, PCM, new Uint8Array(bytes.buffer));
}

function send(number, kind, body) {
  if (socket?.readyState !== WebSocket.OPEN || socket.bufferedAmount > MOST_WAITING_BYTES) return;
  const message = new Uint8Array(5 + body.length);
  new DataView(message.buffer).setUint32(0, number);
  message[4] = kind;
  message.set(body, 5);
  socket.send(message);
}

function connect() {
  const address = new URL(root.dataset.address, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  socket = new WebSocket(address);
  socket.onmessage = ({ data }) => told(JSON.parse(data));
  socket.onclose = () => {
    if (!wanted) return;
    tell(words.reconnecting);
    setTimeout(connect, RECONNECT_MS);
  };
}

function told(message) {
  if (message.state === "refused") {
    wanted = false;
    trouble(message.detail);
    return;
  }
  if (message.state === "ended") {
    wanted = speaking = false;
    location.reload();
    return;
  }
  if (!speaking) {
    if (frames) goOn();
    else if (count.hidden) countIn(COUNT_IN);
    return;
  }
  const { listening_count: now, clusters_count: all, seconds } = message;
  const clock = `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  heard.textContent = words.heard.replace("{now}", now).replace("{all}", all).replace("{clock}", clock);
  tell(message.is_sent ? words.speaking : words.unsent);
}

/** Loudspeakers learn of it meanwhile; who speaks takes a breath. */
function countIn(left) {
  count.hidden = left === 0;
  count.textContent = left;
  if (left) setTimeout(() => countIn(left - 1), 1000);
  else if (wanted) goOn();
}

async function goOn() {
  speaking = true;
  stop.hidden = false;
  if (!frames) stop.focus();
  tell(words.speaking);
  try {
    lock ??= await navigator.wakeLock?.request("screen");
  } catch {
    // The screen may go dark: the page says what happens then.
  }
}

function showLevel(samples) {
  const highest = samples.reduce((most, each) => Math.max(most, Math.abs(each)), 1e-6);
  const height = Math.max(0, 100 * (1 + (20 * Math.log10(highest)) / 48));
  meter.value = height > meter.value ? height : meter.value * 0.9;
  const kind = meter.value > LOUD ? "loud" : meter.value < SOFT ? "soft" : "fine";
  if (levelWords.dataset.kind !== kind) {
    levelWords.dataset.kind = kind;
    levelWords.textContent = levelWords.dataset[kind];
  }
}

function tell(text) {
  if (say.textContent !== text) say.textContent = text;
}

function trouble(text) {
  tell("");
  part("trouble").textContent = text;
}
