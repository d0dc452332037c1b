// Masks as pycocotools writes them: COCO compressed RLE, runs down the columns, background first.

/** The run lengths in a compressed string. Throws RangeError where it is none. */
export function runLengths(counts) {
  const runs = [];
  let value = 0;
  let shift = 0;
  for (let i = 0; i < counts.length; i++) {
    const bits = counts.charCodeAt(i) - 48;
    if (bits < 0 || bits > 63) throw new RangeError("this is no compressed RLE");
    value |= (bits & 31) << shift;
    shift += 5;
    if (bits & 32) continue;
    if (bits & 16) value |= -1 << shift;
    runs.push(runs.length > 2 ? value + runs[runs.length - 2] : value);
    value = 0;
    shift = 0;
  }
  if (shift) throw new RangeError("the RLE ends inside a number");
  return runs;
}

/**
 * The part of a mask that is not empty, with one empty pixel around it.
 *
 * Returns {left, top, width, height, pixels}: the corner in pixels of the image (-1 at its edge), the size, and a
 * Uint8Array of 0 and 1, column by column: pixel (x, y) of the part is pixels[x * height + y]. An empty mask has width 0.
 */
export function decode({ size: [rows], counts }) {
  const segments = [...columnSegments(runLengths(counts), rows)];
  if (!segments.length) return { left: 0, top: 0, width: 0, height: 0, pixels: new Uint8Array(0) };
  let top = rows;
  let bottom = 0;
  for (const [, from, to] of segments) {
    top = Math.min(top, from);
    bottom = Math.max(bottom, to);
  }
  const left = segments[0][0] - 1;
  const width = segments[segments.length - 1][0] - left + 2;
  const height = bottom - top + 2;
  top -= 1;
  const pixels = new Uint8Array(width * height);
  for (const [x, from, to] of segments) {
    const column = (x - left) * height - top;
    pixels.fill(1, column + from, column + to);
  }
  return { left, top, width, height, pixels };
}

/** [x, from, to) of each piece of a column that the mask covers, column by column. */
function* columnSegments(runs, rows) {
  let position = 0;
  for (let i = 0; i < runs.length; i++) {
    const end = position + runs[i];
    while (i % 2 && position < end) {
      const x = Math.floor(position / rows);
      const to = Math.min(end, (x + 1) * rows);
      yield [x, position - x * rows, to - x * rows];
      position = to;
    }
    position = end;
  }
}
