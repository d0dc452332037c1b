// The objects over the image, as SVG: each can be pointed at, each is in a state, one is lit.

const SVG = "http://www.w3.org/2000/svg";
const [HIGH, CHARACTER, PADDING] = [18, 8, 10]; // of a label, pixels of the screen

export class Overlay {
  constructor(svg) {
    this.svg = svg;
    this.pointed = () => {}; // called with the index under the pointer, or null
    this.chosen = () => {}; // called with the index that was clicked
    this.drawn = [];
    svg.addEventListener("pointerover", (event) => this.pointed(indexOf(event)));
    svg.addEventListener("pointerleave", () => this.pointed(null));
    svg.addEventListener("click", (event) => indexOf(event) && this.chosen(indexOf(event)));
    new ResizeObserver(() => this.#place()).observe(svg);
  }

  /** Show the objects of a sample; the small ones, which come last, lie on top. */
  show({ width, height, objects }) {
    this.size = [width, height];
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.replaceChildren();
    const shapes = append(this.svg, "g", "shapes");
    this.top = append(this.svg, "path", "top");
    const labels = append(this.svg, "g", "labels");
    this.drawn = objects.map(({ row, drawn }) => {
      const shape = append(shapes, "g", "shape");
      for (const name of ["rim", "line"]) append(shape, "path", name).setAttribute("d", drawn.outline);
      const label = append(labels, "g", "label");
      append(label, "rect", "plate");
      append(label, "text", "number").textContent = row.index;
      shape.dataset.index = label.dataset.index = row.index;
      return { index: row.index, drawn, shape, label };
    });
    this.#place();
  }

  /** Give each object its state: `state(index)` is a word that the style sheet knows. */
  mark(state) {
    for (const { index, shape, label } of this.drawn) shape.dataset.state = label.dataset.state = state(index);
  }

  /** Light one object; null lights none. */
  light(index) {
    const lit = this.drawn.find((one) => one.index === index);
    this.top?.setAttribute("d", lit?.drawn.outline ?? "");
    for (const one of this.drawn) one.label.classList.toggle("lit", one === lit);
    if (lit) lit.label.parentNode.append(lit.label); // over the others
  }

  /** Put the numbers where they can be read: their size is one of the screen, and none lies on another. */
  #place() {
    if (!this.drawn.length) return;
    const [width, height] = this.size;
    const scale = Math.min(this.svg.clientWidth / width, this.svg.clientHeight / height) || 1;
    const taken = [];
    for (const { index, drawn, label } of this.drawn) {
      const wide = String(index).length * CHARACTER + PADDING;
      let [x, y] = drawn.label.map((value) => value * scale);
      if (!drawn.is_box) [x, y] = [x - wide / 2, y - HIGH / 2];
      const right = Math.max(0, width * scale - wide);
      const hit = () => taken.find((o) => x < o.x + o.wide && o.x < x + wide && y < o.y + HIGH && o.y < y + HIGH);
      y = Math.max(0, Math.min(y, height * scale - HIGH));
      x = Math.max(0, Math.min(x, right));
      for (let other = hit(); other; other = hit()) {
        x = other.x + other.wide + 0.5;
        if (x > right) [x, y] = [0, y + HIGH + 0.5];
      }
      taken.push({ x, y, wide });
      label.setAttribute("transform", `scale(${1 / scale}) translate(${x} ${y})`);
      const [plate, number] = label.children;
      for (const [name, value] of Object.entries({ width: wide, height: HIGH, rx: 3 })) plate.setAttribute(name, value);
      number.setAttribute("x", wide / 2);
      number.setAttribute("y", HIGH / 2);
    }
  }
}

function append(parent, tag, name) {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", name);
  return parent.appendChild(element);
}

function indexOf(event) {
  const object = event.target.closest("[data-index]");
  return object ? Number(object.dataset.index) : null;
}
