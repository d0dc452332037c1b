// The masks over an image, as SVG: each can be pointed at, each is in a state, one is lit.
import { decode } from "./rle.js";
import { deepest, outline } from "./outline.js";

const SVG = "http://www.w3.org/2000/svg";

export class Overlay {
  /** Draws into `svg`, over an image of `width` x `height` pixels. Objects are added from the largest down. */
  constructor(svg, width, height) {
    this.svg = svg;
    this.paths = new Map(); // index -> the data of its path
    this.pointed = () => {}; // called with the index under the pointer, or null
    this.chosen = () => {}; // called with the index that was clicked, or null
    svg.replaceChildren();
    this.objects = append(svg, "g", "objects");
    // What changes under the pointer is a picture of its own, so that a hundred masks are not painted anew.
    this.top = document.createElementNS(SVG, "svg");
    this.top.setAttribute("class", "overlay top");
    this.top.setAttribute("aria-hidden", "true");
    svg.after(this.top);
    for (const picture of [svg, this.top]) picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.dim = append(this.top, "path", "dim");
    this.lit = append(this.top, "path", "lit");
    this.labels = append(this.top, "g", "labels");
    this.frame = `M0,0H${width}V${height}H0Z`;
    // Numbers have a size on the screen: they are told how many pixels of the image one of the screen's is.
    const measure = () => {
      const scale = Math.min(svg.clientWidth / width, svg.clientHeight / height);
      this.top.style.setProperty("--px", 1 / (scale || 1));
    };
    new ResizeObserver(measure).observe(svg);
    measure();
    svg.addEventListener("pointerover", (event) => this.pointed(indexOf(event.target)));
    svg.addEventListener("pointerleave", () => this.pointed(null));
    svg.addEventListener("click", (event) => this.chosen(indexOf(event.target)));
  }

  add(index, mask) {
    if (this.paths.has(index)) return;
    const part = decode(mask);
    if (!part.width) return;
    const data = outline(part);
    this.paths.set(index, data);
    const object = append(this.objects, "g", "object");
    object.dataset.index = index;
    for (const name of ["rim", "line"]) append(object, "path", name).setAttribute("d", data);
    const label = append(this.labels, "text", "label");
    label.dataset.index = index;
    const [x, y] = deepest(part);
    label.setAttribute("x", x);
    label.setAttribute("y", y);
    label.textContent = index;
  }

  /** Give each object its state: `state(index)` is a word that the style sheet knows. */
  mark(state) {
    for (const element of [...this.objects.children, ...this.labels.children]) {
      element.dataset.state = state(Number(element.dataset.index));
    }
  }

  /** Light one object and dim the others; null lights none. */
  light(index) {
    const data = this.paths.get(index);
    this.lit.setAttribute("d", data ?? "");
    this.dim.setAttribute("d", data ? this.frame + data : "");
    for (const label of this.labels.children) label.classList.toggle("lit", Number(label.dataset.index) === index);
  }

  remove() {
    this.svg.replaceChildren();
    this.top.remove();
  }
}

function append(parent, tag, name) {
  const element = document.createElementNS(SVG, tag);
  element.setAttribute("class", name);
  return parent.appendChild(element);
}

function indexOf(target) {
  const object = target.closest("[data-index]");
  return object ? Number(object.dataset.index) : null;
}
