// All recordings in one graph: they start together and share one position; what is heard is a matter of fades.

export const FADE_SEC = 0.015;

/** Decodes a recording of the page, { audio: base64 of a file }, at a rate in Hz. */
export async function decode(clip, rate) {
  const text = atob(clip.audio);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new OfflineAudioContext(1, 1, rate).decodeAudioData(bytes.buffer);
}

/** A buffer of a number of samples: cut, or repeated from its beginning, or followed by silence. */
export function fill(buffer, length, repeats) {
  if (buffer.length === length) return buffer;
  const filled = new AudioBuffer({ length, sampleRate: buffer.sampleRate, numberOfChannels: buffer.numberOfChannels });
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let at = 0; at < (repeats ? length : 1); at += samples.length) {
      filled.copyToChannel(samples.subarray(0, Math.min(samples.length, length - at)), channel, at);
    }
  }
  return filled;
}

/** The gains that bring recordings of these loudnesses (LUFS, or null) to that of the quietest. */
export function matchGains(loudnesses) {
  const known = loudnesses.filter((lufs) => lufs !== null);
  const quietest = Math.min(...known);
  return loudnesses.map((lufs) => (lufs === null ? 1 : 10 ** ((quietest - lufs) / 20)));
}

/** Moves a gain to a value without a click. */
function fade(param, value, context) {
  const now = context.currentTime;
  param.cancelScheduledValues(now);
  param.setValueAtTime(param.value, now);
  param.linearRampToValueAtTime(value, now + FADE_SEC);
}

/**
 * The graph, in a live or an offline context.
 *
 * buffers: AudioBuffers of one length; gains: of each; voices: what can be heard, each a list of [buffer, sign].
 */
export class Mix {
  constructor(context, buffers, gains, voices, voice) {
    Object.assign(this, { context, buffers: [...buffers], running: [] });
    this.volume = new GainNode(context);
    this.volume.connect(context.destination);
    this.levels = gains.map((gain) => new GainNode(context, { gain }));
    this.fades = voices.map((parts, index) => {
      const node = new GainNode(context, { gain: index === voice ? 1 : 0 });
      for (const [buffer, sign] of parts) {
        this.levels[buffer].connect(new GainNode(context, { gain: sign })).connect(node);
      }
      node.connect(this.volume);
      return node;
    });
  }

  /** Starts all buffers at an offset, going round within [first, last] seconds. */
  start(offset, [first, last]) {
    this.stop();
    const when = this.context.currentTime;
    this.anchor = { when, offset, first, last };
    this.running = this.buffers.map((buffer, index) => {
      const source = new AudioBufferSourceNode(this.context, { buffer, loop: true, loopStart: first, loopEnd: last });
      const edge = new GainNode(this.context, { gain: 0 });
      source.connect(edge).connect(this.levels[index]);
      source.start(when, offset);
      fade(edge.gain, 1, this.context);
      return { source, edge };
    });
  }

  stop() {
    for (const { source, edge } of this.running) {
      fade(edge.gain, 0, this.context);
      source.stop(this.context.currentTime + FADE_SEC);
      source.onended = () => edge.disconnect();
    }
    this.running = [];
  }

  /** Seconds into the recordings, now. */
  position() {
    const { when, offset, first, last } = this.anchor;
    const at = offset + this.context.currentTime - when;
    return at < last ? at : first + ((at - first) % (last - first));
  }

  select(voice) {
    this.fades.forEach((node, index) => fade(node.gain, index === voice ? 1 : 0, this.context));
  }

  setGains(gains) {
    gains.forEach((gain, index) => fade(this.levels[index].gain, gain, this.context));
  }

  setVolume(gain) {
    fade(this.volume.gain, gain, this.context);
  }

  /** Hears another buffer in the place of one, without a stop: the sound fades over at the same position. */
  replace(index, buffer) {
    this.buffers[index] = buffer;
    if (this.running.length) this.start(this.position(), [this.anchor.first, this.anchor.last]);
  }
}
