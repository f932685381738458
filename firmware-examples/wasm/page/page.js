// Feeds a file or the microphone to the recogniser in wasm and shows the probabilities as bars.
const RATE = 16000;
const CHUNK = 4096;
const UPDATE_MS = 500;

const status = document.getElementById('status');
const say = (text, isError = false) => {
  status.textContent = text;
  status.className = isError ? 'error' : '';
};

const { instance } = await WebAssembly.instantiateStreaming(fetch('wasm.wasm'), {});
const ser = instance.exports;
const labels = [];
for (let i = 0, n = ser.start(); i < n; i++) {
  const bytes = new Uint8Array(ser.memory.buffer, ser.label_text(i), ser.label_len(i));
  labels.push(new TextDecoder().decode(bytes));
}
const bars = labels.map((label) => {
  const row = document.createElement('div');
  row.className = 'bar';
  row.setAttribute('role', 'listitem');
  row.innerHTML = '<span class="label"></span><div class="track"><div class="fill"></div></div><span class="value">–</span>';
  row.querySelector('.label').textContent = label;
  document.getElementById('bars').append(row);
  return row;
});
say(labels.length ? 'Choose a recording or switch on the microphone.' : 'The model is not usable.', !labels.length);

function push(samples) {
  for (let at = 0; at < samples.length; at += CHUNK) {
    const part = samples.subarray(at, at + CHUNK);
    // the memory may have grown since the last call
    new Float32Array(ser.memory.buffer, ser.chunk(), CHUNK).set(part);
    if (ser.push(part.length) < part.length) return false;
  }
  return true;
}

function show() {
  const best = ser.finish();
  if (best < 0) return best;
  bars.forEach((row, i) => {
    const p = ser.probability(i);
    row.classList.toggle('best', i === best);
    row.querySelector('.fill').style.width = `${100 * p}%`;
    row.querySelector('.value').textContent = `${(100 * p).toFixed(1)} %`;
    row.dataset.probability = p;
  });
  return best;
}

// The features are defined on 16-bit samples x/32767, and jitter and the like feel the last bit. Browsers scale in ways of their own (by 1/32768, some of them only
// below 0), so that a 16-bit WAV file of the right rate is read here; everything else the browser decodes and brings to 16 kHz mono.
function decodeWav(bytes) {
  const view = new DataView(bytes);
  const word = (at) => view.getUint32(at, false);
  if (bytes.byteLength < 12 || word(0) !== 0x52494646 || word(8) !== 0x57415645) return null;
  let channels = 0;
  for (let at = 12; at + 8 <= bytes.byteLength;) {
    const [name, length] = [word(at), view.getUint32(at + 4, true)];
    at += 8;
    if (name === 0x666d7420 && at + 16 <= bytes.byteLength) {
      const pcm16 = view.getUint16(at, true) === 1 && view.getUint16(at + 14, true) === 16;
      if (!pcm16 || view.getUint32(at + 4, true) !== RATE) return null;
      channels = view.getUint16(at + 2, true);
    } else if (name === 0x64617461 && channels > 0) {
      const frames = Math.floor(Math.min(length, bytes.byteLength - at) / (2 * channels));
      return Float32Array.from({ length: frames }, (_, n) => {
        let sum = 0;
        for (let c = 0; c < channels; c++) sum += view.getInt16(at + 2 * (n * channels + c), true);
        return sum / channels / 32767;
      });
    }
    at += length + (length % 2);
  }
  return null;
}

async function decode(bytes) {
  const exact = decodeWav(bytes);
  if (exact) return exact;
  const audio = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
  const sum = new Float64Array(audio.length);
  for (let c = 0; c < audio.numberOfChannels; c++) {
    audio.getChannelData(c).forEach((v, i) => { sum[i] += v; });
  }
  return Float32Array.from(sum, (v) => (v * 32768) / audio.numberOfChannels / 32767);
}

async function recognise(name, bytes) {
  let samples;
  try {
    samples = await decode(bytes);
  } catch (error) {
    return say(`${name} is not audio that this browser reads: ${error.message}`, true);
  }
  ser.reset();
  const whole = push(samples);
  const best = show();
  if (best === -1) return say(`${name} is too short: 70 ms at least.`, true);
  if (best < 0) return say(`${name}: no result; are its samples in range?`, true);
  say(`${name}: ${labels[best]}${whole ? '' : ' (of its first 20 s)'}`);
}

document.getElementById('file').addEventListener('change', async (event) => {
  const file = event.target.files[0];
  if (file) await recognise(file.name, await file.arrayBuffer());
});

let microphone = null;
document.getElementById('microphone').addEventListener('click', async (event) => {
  if (microphone) {
    microphone.stop();
    microphone = null;
    event.target.textContent = 'Microphone';
    return;
  }
  try {
    microphone = await listen();
    event.target.textContent = 'Stop';
  } catch (error) {
    say(`No microphone: ${error.message}`, true);
  }
});

// the last utterances of up to 20 s, shown twice a second
async function listen() {
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext({ sampleRate: RATE });
  const code = 'registerProcessor("tap", class extends AudioWorkletProcessor {'
    + ' process([input]) { if (input[0]) this.port.postMessage(input[0].slice()); return true; } });';
  await context.audioWorklet.addModule(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
  const tap = new AudioWorkletNode(context, 'tap', { numberOfOutputs: 0 });
  context.createMediaStreamSource(stream).connect(tap);
  ser.reset();
  tap.port.onmessage = ({ data: heard }) => {
    const data = heard.map((v) => (v * 32768) / 32767);
    if (!push(data)) {
      ser.reset();
      push(data);
    }
  };
  const timer = setInterval(() => {
    const best = show();
    say(best < 0 ? 'Listening…' : `Listening: ${labels[best]}`);
  }, UPDATE_MS);
  return {
    stop() {
      clearInterval(timer);
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      say('Stopped.');
    },
  };
}

// index.html?file=clip.wav recognises a recording beside the page: for links and for tests
const linked = new URLSearchParams(location.search).get('file');
if (linked && labels.length) {
  const answer = await fetch(linked);
  if (answer.ok) await recognise(linked, await answer.arrayBuffer());
  else say(`${linked}: ${answer.status} ${answer.statusText}`, true);
}
document.body.dataset.ready = 'yes';
