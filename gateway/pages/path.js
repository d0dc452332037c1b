// The path on the image: which objects are still in after a step, and which it has just rejected.

/** The views of a twin: "all", each step by its number, and "answer". */
export class Path {
  /** `list` holds an element for each step with data-step and data-kept, `indices` are those of the answer. */
  constructor(list, indices) {
    this.kept = [...list.querySelectorAll("[data-step]")].map((step) => numbers(step.dataset.kept));
    this.answer = new Set(indices);
  }

  /** The state of an object in a view: free, in, rejected (by this step), out (before), answer. */
  state(view, index) {
    if (view === "all") return "free";
    if (view === "answer") return this.answer.has(index) ? "answer" : "out";
    const step = Number(view);
    if (this.kept[step - 1].has(index)) return "in";
    return step === 1 || this.kept[step - 2].has(index) ? "rejected" : "out";
  }
}

export function numbers(text) {
  return new Set(text.split(" ").filter(Boolean).map(Number));
}
