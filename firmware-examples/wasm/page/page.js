// The page: a recording or the microphone to a timeline of utterances.
import { Recognizer } from './recognizer.js';
import { decode, microphone } from './audio.js';

const COLORS = ['#c8553d', '#e0a526', '#4c86a8', '#5b5ea6', '#3f8f5f', '#b0578d', '#7a6a53', '#2aa198'];
// Seconds that the strip shows of a stream that has no end.
const WINDOW_S = 60;
// Seconds of a recording that are recognised before the page gets its turn.
const SLICE_S = 2;
const QUIETEST_DB = -90;
// After so long without a sample something is wrong.
const DEAF_MS = 4000;

const element = (id) => document.getElementById(id);
const status = element('status');
const say = (text, isError = false) => {
  status.textContent = text;
  status.className = isError ? 'error' : '';
};
const make = (tag, className, text = '') => {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
};
const clock = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, '0')}`;
const color = (label) => COLORS[recognizer.labels.indexOf(label) % COLORS.length];

// The utterances of one stream, on the page.
class Timeline {
  constructor(isLive) {
    this.isLive = isLive;
    this.spans = [];
    this.open = null;
    element('utterances').replaceChildren();
    element('strip').replaceChildren();
    element('strip').hidden = false;
  }

  add(event) {
    if (event.kind === 'start') {
      this.open = { block: element('strip').appendChild(make('span', '')), card: null };
    }
    const { block } = this.open;
    block.style.background = event.label ? color(event.label) : 'var(--no-label)';
    block.title = event.label ?? event.reason ?? '';
    if (event.kind !== 'start') {
      const card = this.#card(event);
      if (this.open.card) this.open.card.replaceWith(card);
      else if (this.isLive) element('utterances').prepend(card);
      else element('utterances').append(card);
      this.open.card = card;
    }
    this.open.event = event;
    if (event.kind === 'start') this.spans.push(this.open);
  }

  // Draws the strip up to `end` seconds of `whole`, or of the last minute.
  draw(end, whole = Math.max(end, 10)) {
    const length = this.isLive ? Math.min(whole, WINDOW_S) : whole;
    const from = this.isLive ? Math.max(0, end - length) : 0;
    for (const span of this.spans) {
      const isOpen = span.event.kind === 'start' || span.event.kind === 'update';
      const until = isOpen ? end : span.event.end;
      const left = Math.max(span.event.start, from);
      span.block.hidden = until <= from;
      span.block.style.left = `${(100 * (left - from)) / length}%`;
      span.block.style.width = `${(100 * Math.max(0, until - left)) / length}%`;
    }
    // A page that listens for days keeps what it shows.
    while (this.isLive && this.spans.length > 200) {
      const [oldest] = this.spans.splice(0, 1);
      oldest.block.remove();
      oldest.card?.remove();
    }
  }

  get ended() {
    return this.spans.map((span) => span.event).filter((event) => event.kind === 'end');
  }

  #card(event) {
    const card = make('li', event.label ? '' : 'none');
    card.classList.toggle('going-on', event.kind === 'update');
    const head = card.appendChild(make('div', 'head'));
    head.append(make('span', 'time', `${clock(event.start)} – ${clock(event.end)}`), make('span', 'label', title(event)));
    if (event.probabilities.length) {
      const bar = card.appendChild(make('div', 'bar'));
      const legend = card.appendChild(make('div', 'legend'));
      event.probabilities.forEach((p, i) => {
        const label = recognizer.labels[i];
        const part = bar.appendChild(make('div', ''));
        part.style.cssText = `width: ${100 * p}%; background: ${color(label)}`;
        legend.appendChild(make('span', '', `${label} ${(100 * p).toFixed(1)} %`))
          .style.setProperty('--color', color(label));
      });
      bar.setAttribute('aria-hidden', 'true');
    }
    if (event.flags.length) card.append(make('div', 'flags', event.flags.join('; ')));
    card.dataset.event = JSON.stringify(event);
    return card;
  }
}

function title(event) {
  if (event.kind === 'update') return `${event.label ?? event.reason} …`;
  if (event.kind === 'failed') return 'could not be recognised: are its samples in range?';
  if (event.kind === 'discarded') return event.reason;
  const name = event.label ?? `no label: ${event.reason}`;
  return event.cut ? `${name} (goes on)` : name;
}

function showLevel(samples) {
  let sum = 0;
  for (const sample of samples) sum += sample * sample;
  const decibel = Math.max(QUIETEST_DB, 10 * Math.log10(sum / samples.length || 1e-12));
  element('level').style.width = `${100 * (1 - decibel / QUIETEST_DB)}%`;
  element('level').parentElement.setAttribute('aria-valuenow', decibel.toFixed(0));
  element('decibel').textContent = `${decibel.toFixed(0)} dB`;
  element('state').textContent = recognizer.inSpeech ? 'sound' : 'silence';
  element('state').classList.toggle('speech', recognizer.inSpeech);
}

function begin(rate) {
  recognizer.start(rate, element('adapt').checked);
  const percent = (100 * recognizer.abstainBelow).toFixed(0);
  element('threshold').textContent = [
    recognizer.abstainBelow > 0 ? `Below ${percent} % there is no label.` : '',
    recognizer.cutAsTrained ? '' : 'Its training recordings were not cut as they are here.',
  ].join(' ');
}

// What runs: another recording, or the microphone, stops it first.
let running = null;
async function stop() {
  const { end } = running ?? {};
  running = null;
  await end?.();
}

async function recognise(name, bytes) {
  await stop();
  const job = { end: null };
  running = job;
  say(`${name}: reading…`);
  let recording;
  try {
    recording = await decode(bytes);
  } catch (error) {
    return say(`${name} cannot be read: ${error.message}`, true);
  }
  if (running !== job) return undefined;
  const { rate, samples } = recording;
  const duration = samples.length / rate;
  begin(rate);
  const timeline = new Timeline(false);
  const slice = Math.floor(SLICE_S * rate);
  for (let at = 0; at < samples.length; at += slice) {
    const heard = recognizer.push(samples.subarray(at, at + slice));
    heard.forEach((event) => timeline.add(event));
    timeline.draw(Math.min(at + slice, samples.length) / rate, duration);
    say(`${name}: ${Math.round((100 * at) / samples.length)} %`);
    await new Promise((resolve) => { setTimeout(resolve); });
    if (running !== job) return undefined;
  }
  recognizer.finish().forEach((event) => timeline.add(event));
  timeline.draw(duration, duration);
  running = null;
  return say(summary(name, timeline.ended, duration));
}

function summary(name, utterances, duration) {
  if (!utterances.length) return `${name}: no speech in ${duration.toFixed(1)} s.`;
  const seconds = utterances.reduce((sum, { start, end }) => sum + end - start, 0);
  const count = utterances.length === 1 ? 'one utterance' : `${utterances.length} utterances`;
  return `${name}: ${count}, ${seconds.toFixed(1)} s of ${duration.toFixed(1)} s.`;
}

async function listen() {
  const button = element('microphone');
  const job = { end: null };
  await stop();
  running = job;
  say('Waiting for the microphone…');
  let [timeline, heard, rate] = [null, 0, 0];
  const take = (samples) => {
    if (!timeline || running !== job) return;
    try {
      recognizer.push(samples).forEach((event) => timeline.add(event));
    } catch (error) {
      stop();
      say(`Listening ended: ${error.message}`, true);
      return;
    }
    heard += samples.length;
    showLevel(samples);
    timeline.draw(heard / rate);
    status.dataset.heard = heard / rate;
  };
  let source;
  try {
    source = await microphone(take, () => {
      stop();
      say('The microphone was disconnected.', true);
    });
  } catch (error) {
    if (running === job) running = null;
    return say(`No microphone: ${error.message}`, true);
  }
  if (running !== job) return source.stop();
  rate = source.rate;
  begin(rate);
  timeline = new Timeline(true);
  job.end = async () => {
    recognizer.finish().forEach((event) => timeline.add(event));
    timeline.draw(heard / rate);
    button.textContent = 'Microphone';
    button.setAttribute('aria-pressed', 'false');
    element('listening').hidden = true;
    say(summary('Stopped', timeline.ended, heard / rate));
    await source.stop();
  };
  button.textContent = 'Stop';
  button.setAttribute('aria-pressed', 'true');
  element('listening').hidden = false;
  setTimeout(() => {
    if (running === job && heard === 0) {
      say('Nothing comes from the microphone. Is it in use elsewhere? Some browsers need an audio output, too.', true);
    }
  }, DEAF_MS);
  return say(`Listening to ${source.name || 'the microphone'} at ${rate} Hz.`);
}

// Shows what went wrong that nobody expected.
const guarded = (work) => work.catch((error) => say(`That failed: ${error.message}`, true));

const recognizer = await Recognizer.load('wasm.wasm');
try {
  begin(48000);
  say('Choose a recording or switch on the microphone.');
} catch (error) {
  say(`The model cannot be used: ${error.message}`, true);
}

element('file').addEventListener('change', ({ target }) => {
  const [file] = target.files;
  // The same file may be chosen again.
  if (file) guarded(file.arrayBuffer().then((bytes) => recognise(file.name, bytes)).finally(() => { target.value = ''; }));
});
element('microphone').addEventListener('click', () => {
  guarded(running?.end ? stop() : listen());
});

// index.html?file=clip.wav recognises a recording beside the page: for links and for tests.
const linked = new URLSearchParams(location.search).get('file');
if (linked) {
  const answer = await fetch(linked);
  if (answer.ok) await guarded(answer.arrayBuffer().then((bytes) => recognise(linked, bytes)));
  else say(`${linked}: ${answer.status} ${answer.statusText}`, true);
}
document.body.dataset.ready = 'yes';
