// The objects of a twin in the making, lit on the image as they are described.
import { Overlay } from "./overlay.js";

export class Seen {
  /** Draws into `svg`; `caption` tells the latest description. */
  constructor(svg, caption) {
    this.svg = svg;
    this.caption = caption;
    this.overlay = null;
  }

  /** Show one more object, as the event `object` tells it. */
  show({ index, semantic, mask }) {
    const [height, width] = mask.size;
    this.svg.removeAttribute("hidden");
    this.overlay ??= new Overlay(this.svg, width, height);
    this.overlay.add(index, mask);
    this.overlay.mark(() => "seen");
    this.caption.textContent = `${index} · ${semantic ?? "not described"}`;
  }

  clear() {
    this.overlay?.remove();
    this.overlay = null;
    this.svg.setAttribute("hidden", "");
    this.caption.textContent = "";
  }
}
