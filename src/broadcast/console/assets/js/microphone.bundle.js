// In the thread of the sound: samples of the microphone, put together to frames of 40 ms.
const SAMPLES = 1920;

class Frames extends AudioWorkletProcessor {
  constructor() {
    super();
    this.frame = new Float32Array(SAMPLES);
    this.filled = 0;
  }

  process([[samples]]) {
    if (!samples) return true;
    let taken = 0;
    while (taken < samples.length) {
      const some = Math.min(samples.length - taken, SAMPLES - this.filled);
      this.frame.set(samples.subarray(taken, taken + some), this.filled);
      taken += some;
      this.filled += some;
      if (this.filled === SAMPLES) {
        this.port.postMessage(this.frame, [this.frame.buffer]);
        this.frame = new Float32Array(SAMPLES);
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("frames", Frames);
