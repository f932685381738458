// The recogniser in wasm: samples in, events out.
const CHUNK = 4096;
const KINDS = ['start', 'update', 'end', 'discarded', 'failed'];

export class Recognizer {
  static async load(url) {
    const { instance } = await WebAssembly.instantiateStreaming(fetch(url), {});
    return new Recognizer(instance.exports);
  }

  constructor(wasm) {
    this.wasm = wasm;
    this.labels = [];
  }

  // A new stream at `rate` Hz.
  start(rate, adapt) {
    const count = this.wasm.start(rate, adapt);
    if (!count) throw new Error(this.#error());
    this.labels = Array.from({ length: count }, (_, i) => this.#text(0, i));
    this.abstainBelow = this.wasm.abstain_below();
    this.cutAsTrained = Boolean(this.wasm.cut_as_trained());
  }

  // Takes mono samples on the scale -1..1; the events that they brought.
  push(samples) {
    const events = [];
    for (let at = 0; at < samples.length; at += CHUNK) {
      const part = samples.subarray(at, at + CHUNK);
      // The memory may have grown since the last call.
      new Float32Array(this.wasm.memory.buffer, this.wasm.chunk(), CHUNK).set(part);
      if (this.wasm.push(part.length) < 0) throw new Error(this.#error());
      events.push(...this.#events());
    }
    return events;
  }

  // The stream ends here.
  finish() {
    this.wasm.finish();
    return this.#events();
  }

  get inSpeech() {
    return Boolean(this.wasm.in_speech());
  }

  #events() {
    const events = [];
    for (let at = this.wasm.next_event(); at; at = this.wasm.next_event()) {
      const [kind, start, end, continued, cut, label, reason, flags, level, voiced, count] =
        new Float64Array(this.wasm.memory.buffer, at, 11);
      events.push({
        kind: KINDS[kind],
        start,
        end,
        continued: Boolean(continued),
        cut: Boolean(cut),
        label: label < 0 ? null : this.labels[label],
        reason: reason < 0 ? null : this.#text(1, reason),
        flags: [...Array(32).keys()].filter((bit) => flags & (1 << bit)).map((bit) => this.#text(2, bit)),
        level,
        voiced,
        probabilities: [...new Float64Array(this.wasm.memory.buffer, at + 88, count)],
      });
    }
    return events;
  }

  #text(kind, index) {
    return this.#string(this.wasm.text_at(kind, index), this.wasm.text_len(kind, index));
  }

  #error() {
    return this.#string(this.wasm.error_text(), this.wasm.error_len());
  }

  #string(at, length) {
    return new TextDecoder().decode(new Uint8Array(this.wasm.memory.buffer, at, length));
  }
}
