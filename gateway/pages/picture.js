// The image of the form: dropped, pasted or chosen, and shown before it is sent.

const MAX_SIDE = 1600; // pixels that are drawn; the file is sent as it is

export class Picture {
  /** `input` holds the file, `zone` takes drops, `canvas` shows it; `changed` is called when there is another one. */
  constructor(input, zone, canvas, changed) {
    Object.assign(this, { input, zone, canvas, changed, size: null });
    input.addEventListener("change", () => this.#show());
    for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
      document.addEventListener(name, (event) => this.#drag(event));
    }
    document.addEventListener("paste", (event) => this.take(event.clipboardData?.files[0]));
    if (input.files.length) this.#show(); // the browser kept it over a reload
  }

  /** Take `file`, if it is one, as if it had been chosen. */
  take(file) {
    if (!file) return;
    const files = new DataTransfer();
    files.items.add(file);
    this.input.files = files.files;
    this.#show();
  }

  #drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    const inside = this.zone.contains(event.target);
    this.zone.classList.toggle("over", inside && (event.type === "dragenter" || event.type === "dragover"));
    if (event.type === "drop") this.take(event.dataTransfer.files[0]);
  }

  /** Draw the file. `size` is [width, height] of the upright image, or null where the browser cannot read it. */
  async #show() {
    const file = this.input.files[0];
    let bitmap = null;
    try {
      bitmap = file ? await createImageBitmap(file) : null;
    } catch {
      bitmap = null; // a TIFF, or no image: the gateway will tell
    }
    this.size = bitmap && [bitmap.width, bitmap.height];
    this.canvas.hidden = !bitmap;
    if (bitmap) {
      const scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
      this.canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      this.canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      this.canvas.getContext("2d").drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
      bitmap.close();
    }
    this.zone.classList.toggle("filled", Boolean(bitmap));
    this.changed(file, this.size);
  }
}
