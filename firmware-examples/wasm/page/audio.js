// Recordings and the microphone to mono samples at their own rate.
//
// The features are defined on 16-bit samples x/32767, and jitter and the like feel the last bit.
// Browsers scale in ways of their own (by 1/32768, some of them only below 0) and resample what
// they decode to the rate of the context. WAV files are therefore read here, at their own rate;
// FLAC files are decoded in a context of the file's rate, which they state at a known place; of
// everything else the rate is not known, and the browser brings it to 48 kHz.
const BROWSER_RATE = 48000;
const RATES = { least: 8000, most: 96000 };

// { rate, samples } of a recording, channels mixed.
export async function decode(bytes) {
  const wav = decodeWav(new DataView(bytes));
  if (wav) return checked(wav);
  const rate = flacRate(new Uint8Array(bytes)) ?? BROWSER_RATE;
  const audio = await new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes);
  const channels = Array.from({ length: audio.numberOfChannels }, (_, c) => audio.getChannelData(c));
  return checked({
    rate: audio.sampleRate,
    samples: mix(audio.length, channels.length, (n, c) => (channels[c][n] * 32768) / 32767),
  });
}

function checked(recording) {
  const { rate } = recording;
  if (rate < RATES.least || rate > RATES.most) {
    throw new Error(`its rate is ${rate} Hz; ${RATES.least} to ${RATES.most} Hz are possible`);
  }
  return recording;
}

function mix(frames, channels, sample) {
  const mixed = new Float32Array(frames);
  for (let n = 0; n < frames; n++) {
    let sum = 0;
    for (let c = 0; c < channels; c++) sum += sample(n, c);
    mixed[n] = sum / channels;
  }
  return mixed;
}

// How a sample of each kind of PCM is read: bytes and value.
const PCM = {
  '1/8': [1, (v, at) => (v.getUint8(at) - 128) / 127],
  '1/16': [2, (v, at) => v.getInt16(at, true) / 32767],
  '1/24': [3, (v, at) => (v.getInt8(at + 2) * 65536 + v.getUint16(at, true)) / 8388607],
  '1/32': [4, (v, at) => v.getInt32(at, true) / 2147483647],
  '3/32': [4, (v, at) => v.getFloat32(at, true)],
  '3/64': [8, (v, at) => v.getFloat64(at, true)],
};

// null for what is no WAV file, or holds a coding that the browser may know.
function decodeWav(view) {
  const word = (at) => view.getUint32(at, false);
  if (view.byteLength < 12 || word(0) !== 0x52494646 || word(8) !== 0x57415645) return null;
  let format = null;
  for (let at = 12; at + 8 <= view.byteLength;) {
    const [name, length] = [word(at), view.getUint32(at + 4, true)];
    at += 8;
    if (name === 0x666d7420 && length >= 16 && at + length <= view.byteLength) {
      // WAVE_FORMAT_EXTENSIBLE has the coding at the start of its sub-format.
      const coding = view.getUint16(at, true);
      const tag = coding === 0xfffe && length >= 40 ? view.getUint16(at + 24, true) : coding;
      const pcm = PCM[`${tag}/${view.getUint16(at + 14, true)}`];
      const channels = view.getUint16(at + 2, true);
      if (!pcm || !channels) return null;
      format = { pcm, channels, rate: view.getUint32(at + 4, true) };
    } else if (name === 0x64617461 && format) {
      const [size, read] = format.pcm;
      const { channels, rate } = format;
      const frames = Math.floor(Math.min(length, view.byteLength - at) / (size * channels));
      const start = at;
      const sample = (n, c) => read(view, start + size * (n * channels + c));
      return { rate, samples: mix(frames, channels, sample) };
    }
    at += length + (length % 2);
  }
  return null;
}

function flacRate(bytes) {
  const isFlac = bytes.length > 21 && [0x66, 0x4c, 0x61, 0x43].every((b, i) => bytes[i] === b);
  return isFlac ? (bytes[18] << 12) | (bytes[19] << 4) | (bytes[20] >> 4) : null;
}

// Opens the microphone; { rate, name, stop }. `onSamples` gets mono samples, `onEnd` is called when
// the device goes away.
//
// One context, at the rate that the browser chooses for the device: Firefox connects no microphone
// to a context of another rate. What a browser does for telephone calls is switched off: a gain
// that follows the voice and a filter that removes what it takes for noise change what is measured.
export async function microphone(onSamples, onEnd) {
  if (!navigator.mediaDevices) {
    throw new Error('this page needs https, or localhost, to be allowed to listen');
  }
  const stream = await navigator.mediaDevices.getUserMedia({
    audio: {
      channelCount: 1,
      echoCancellation: false,
      noiseSuppression: false,
      autoGainControl: false,
    },
  });
  const context = new AudioContext();
  try {
    // Not awaited: where the computer has no audio output, Firefox never gets there.
    context.resume();
    checked({ rate: context.sampleRate });
    const source = context.createMediaStreamSource(stream);
    source.connect(await tap(context, onSamples));
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    await context.close();
    throw error;
  }
  const [track] = stream.getAudioTracks();
  track.addEventListener('ended', onEnd);
  return {
    rate: context.sampleRate,
    name: track.label,
    async stop() {
      track.removeEventListener('ended', onEnd);
      stream.getTracks().forEach((t) => t.stop());
      await context.close();
    },
  };
}

async function tap(context, onSamples) {
  if (context.audioWorklet) {
    await context.audioWorklet.addModule('tap.js');
    const node = new AudioWorkletNode(context, 'tap', {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: 'explicit',
    });
    node.port.onmessage = ({ data }) => onSamples(data);
    return node;
  }
  // Browsers from before 2021. It is heard only if it leads somewhere, and gives silence there.
  const node = context.createScriptProcessor(4096, 1, 1);
  node.onaudioprocess = ({ inputBuffer }) => onSamples(inputBuffer.getChannelData(0).slice());
  node.connect(context.destination);
  return node;
}
