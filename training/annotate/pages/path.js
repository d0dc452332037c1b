// A path as it is being written: steps, each over the objects that the one before keeps.

export class Path {
  /** `indices` are those of the twin; `steps` as Seg-DT has them, or as `written` gives them. None is one empty step. */
  constructor(indices, steps) {
    this.indices = indices;
    this.steps = steps.map(({ criterion, decisions, otherwise }) => ({
      criterion,
      otherwise: otherwise ?? "",
      // What was said of an object stays when a step before drops it, and is there again when it is kept again.
      said: new Map(decisions.map((one) => [one.index, { ...one, semantic: one.semantic ?? "" }])),
    }));
    if (!this.steps.length) this.add();
  }

  /** The indices that a step decides on. Steps count from 0 here. */
  of(step) {
    return step ? this.kept(step - 1) : this.indices;
  }

  kept(step) {
    return this.of(step).filter((index) => this.said(step, index).keep === true);
  }

  undecided(step) {
    return this.of(step).filter((index) => this.said(step, index).keep === null);
  }

  /** What is said of an object in a step: keep (null: undecided), reasoning, semantic. */
  said(step, index) {
    const all = this.steps[step].said;
    if (!all.has(index)) all.set(index, { index, keep: null, reasoning: "", semantic: "" });
    return all.get(index);
  }

  /** Of an object after a step: kept, rejected (by this step), open, or out (rejected before). */
  state(step, index) {
    if (!this.of(step).includes(index)) return "out";
    return { true: "kept", false: "rejected", null: "open" }[this.said(step, index).keep];
  }

  add() {
    this.steps.push({ criterion: "", otherwise: "", said: new Map() });
  }

  remove(step) {
    this.steps.splice(step, 1);
    if (!this.steps.length) this.add();
  }

  /** Leave what a step keeps undecided: its `otherwise` then rejects it. What rejects an object by itself stays. */
  nothing(step) {
    for (const index of this.kept(step)) this.said(step, index).keep = null;
  }

  /** The answer: what the last step keeps. */
  get answer() {
    return this.kept(this.steps.length - 1);
  }

  /** As the server takes it. */
  written() {
    return this.steps.map(({ criterion, otherwise }, step) => ({
      criterion,
      decisions: this.of(step).map((index) => this.said(step, index)),
      otherwise: otherwise || null,
    }));
  }
}
