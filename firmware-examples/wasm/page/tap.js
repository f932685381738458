// Hands what the microphone gives to the page, 1024 samples at a time.
const BLOCK = 1024;

registerProcessor('tap', class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK);
    this.filled = 0;
  }

  process([input]) {
    const samples = input[0];
    if (samples) {
      for (let at = 0; at < samples.length;) {
        const part = samples.subarray(at, at + BLOCK - this.filled);
        this.block.set(part, this.filled);
        this.filled += part.length;
        at += part.length;
        if (this.filled === BLOCK) {
          this.port.postMessage(this.block);
          this.filled = 0;
        }
      }
    }
    return true;
  }
});
