// The recordings as lanes on one canvas, with the playhead and the region that is repeated.

/** Lowest and highest sample of each of a number of columns, over all channels. */
export function peaks(buffer, columns) {
  const low = new Float32Array(columns);
  const high = new Float32Array(columns);
  const size = buffer.length / columns;
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const samples = buffer.getChannelData(channel);
    for (let column = 0; column < columns; column++) {
      const end = Math.min(samples.length, Math.max(Math.floor((column + 1) * size), Math.floor(column * size) + 1));
      for (let i = Math.floor(column * size); i < end; i++) {
        if (samples[i] < low[column]) low[column] = samples[i];
        else if (samples[i] > high[column]) high[column] = samples[i];
      }
    }
  }
  return { low, high };
}

/** Draws lanes: { buffer, gain, colour, label, isOn, isHidden }; times are shares of the length. */
export class Waveform {
  constructor(canvas) {
    this.canvas = canvas;
    this.cache = new WeakMap(); // buffer to its peaks
  }

  draw(lanes, position, region) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== Math.round(width * ratio) || this.canvas.height !== Math.round(height * ratio)) {
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      this.cache = new WeakMap();
    }
    const style = getComputedStyle(this.canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const laneHeight = height / lanes.length;
    lanes.forEach((lane, index) => this.#lane(pen, lane, index * laneHeight, laneHeight, width, colour));
    if (region) {
      pen.fillStyle = colour("--veil");
      pen.fillRect(0, 0, region[0] * width, height);
      pen.fillRect(region[1] * width, 0, (1 - region[1]) * width, height);
      pen.fillStyle = colour("--accent");
      for (const edge of region) pen.fillRect(edge * width - 1, 0, 2, height);
    }
    pen.font = `600 11px ${colour("--font")}`;
    pen.strokeStyle = colour("--back");
    pen.lineWidth = 4;
    lanes.forEach((lane, index) => {
      pen.fillStyle = lane.isOn ? colour("--text") : colour("--muted");
      const label = lane.isHidden ? `${lane.label}: hidden during the test` : lane.label;
      pen.strokeText(label, 8, index * laneHeight + 15);
      pen.fillText(label, 8, index * laneHeight + 15);
    });
    pen.fillStyle = colour("--text");
    pen.fillRect(position * width - 0.75, 0, 1.5, height);
  }

  #lane(pen, lane, top, height, width, colour) {
    const middle = top + height / 2;
    pen.fillStyle = colour("--line");
    if (top > 0) pen.fillRect(0, Math.round(top), width, 1);
    pen.fillRect(0, Math.round(middle), width, 1);
    if (!lane.isHidden) {
      if (!this.cache.has(lane.buffer)) this.cache.set(lane.buffer, peaks(lane.buffer, Math.max(1, Math.round(width))));
      const { low, high } = this.cache.get(lane.buffer);
      const scale = (height / 2 - 4) * lane.gain;
      pen.globalAlpha = lane.isOn ? 1 : 0.35;
      pen.fillStyle = colour(lane.colour);
      for (let column = 0; column < high.length; column++) {
        const up = Math.min(high[column] * scale, height / 2 - 2);
        const down = Math.max(low[column] * scale, 2 - height / 2);
        pen.fillRect(column, middle - up, 1, Math.max(1, up - down));
      }
      pen.globalAlpha = 1;
    }
  }
}
