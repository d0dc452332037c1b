// From the pixels of a mask to what is drawn of it. A part is what `decode` of rle.js returns.

const AHEAD = [[1, 0], [0, 1], [-1, 0], [0, -1]]; // east, south, west, north
// Of the pixels that touch a corner, the one ahead on the right hand and the one ahead on the left.
const RIGHT = [[0, 0], [-1, 0], [-1, -1], [0, -1]];
const LEFT = [[0, -1], [0, 0], [-1, 0], [-1, -1]];

/**
 * The border of a mask as the data of an SVG path, in pixels of the image, holes included (fill rule evenodd).
 *
 * It runs through the middles of the pixels' sides, so that a slanted border is a line and not a staircase.
 */
export function outline(part) {
  const { left, top, width, height, pixels } = part;
  const seen = new Uint8Array(pixels.length); // pixels whose upper side is drawn
  const loops = [];
  for (let x = 1; x < width - 1; x++) {
    for (let y = 1; y < height - 1; y++) {
      const at = x * height + y;
      if (pixels[at] && !pixels[at - 1] && !seen[at]) loops.push(loop(part, x, y, seen));
    }
  }
  return loops.map((points) => `M${points.map(([x, y]) => `${left + x},${top + y}`).join("L")}Z`).join("");
}

/** The points of the border that runs along the upper side of pixel (x, y), the mask on its right hand. */
function loop({ height, pixels }, startX, startY, seen) {
  const points = [];
  let [x, y, heading] = [startX, startY, 0];
  let turned = true; // a straight stretch is its first and its last side
  do {
    if (heading === 0) seen[x * height + y] = 1;
    const [stepX, stepY] = AHEAD[heading];
    const middle = [x + stepX / 2, y + stepY / 2];
    x += stepX;
    y += stepY;
    const ahead = ([dx, dy]) => pixels[(x + dx) * height + y + dy];
    const next = !ahead(RIGHT[heading]) ? (heading + 1) % 4 : ahead(LEFT[heading]) ? (heading + 3) % 4 : heading;
    if (turned || next !== heading) points.push(middle);
    turned = next !== heading;
    heading = next;
  } while (x !== startX || y !== startY || heading !== 0);
  return points;
}

/** [x, y] of a pixel deep inside the mask, for its number: on a ring it lies on the ring, not in its hole. */
export function deepest({ left, top, width, height, pixels }) {
  const stride = Math.max(1, Math.floor(Math.max(width, height) / 64)); // near enough, and fast
  const columns = Math.ceil(width / stride) + 1;
  const rows = Math.ceil(height / stride) + 1;
  const depth = new Uint16Array(columns * rows); // steps to the border
  const at = (column, row) => column * rows + row;
  for (let column = 1; column < columns - 1; column++) {
    for (let row = 1; row < rows - 1; row++) {
      if (!pixels[column * stride * height + row * stride]) continue;
      depth[at(column, row)] = 1 + Math.min(depth[at(column - 1, row)], depth[at(column, row - 1)]);
    }
  }
  let best = { depth: 0 };
  for (let column = columns - 2; column > 0; column--) {
    for (let row = rows - 2; row > 0; row--) {
      const here = at(column, row);
      if (!depth[here]) continue;
      depth[here] = Math.min(depth[here], 1 + depth[at(column + 1, row)], 1 + depth[at(column, row + 1)]);
      if (depth[here] < best.depth) continue;
      const away = Math.hypot(column - columns / 2, row - rows / 2); // of equals the one in the middle
      if (depth[here] > best.depth || away < best.away) best = { depth: depth[here], away, column, row };
    }
  }
  if (best.depth) return [left + best.column * stride + 0.5, top + best.row * stride + 0.5];
  const first = pixels.indexOf(1); // too thin for the stride
  return [left + Math.floor(first / height) + 0.5, top + (first % height) + 0.5];
}
