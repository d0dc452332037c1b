// The panel of stages: what is waited for, how far it is, and how to stop it.
import { address, follow, giveUp } from "./build.js";

const WORDS = { waiting: "waiting", running: "running", done: "done", stored: "stored" };

export class Stages {
  /** `panel` is the section that stages.html renders. */
  constructor(panel) {
    this.panel = panel;
    this.spoken = panel.querySelector("[role=status]");
    this.clock = panel.querySelector(".elapsed");
    this.link = panel.querySelector(".permalink");
    this.stop = panel.querySelector(".stop");
  }

  /** Begin to count the seconds, every stage waiting. */
  begin() {
    for (const item of this.panel.querySelectorAll("[data-stage]")) this.#state(item, "waiting");
    this.panel.hidden = false;
    this.link.hidden = this.stop.hidden = true;
    const started = Date.now();
    const tick = () => (this.clock.textContent = `${Math.floor((Date.now() - started) / 1000)} s`);
    tick();
    clearInterval(this.ticking);
    this.ticking = setInterval(tick, 1000);
    this.spoken.textContent = "sent";
  }

  /**
   * Follow a build until it ends. `seen` is called with each object as it is described. Resolves to true when the twin
   * is ready and to false when it was stopped here; rejects with the Problem that the build met.
   */
  watch(identity, seen) {
    this.stop.hidden = false;
    this.link.hidden = location.pathname === address(identity);
    this.link.querySelector("a").href = address(identity);
    return new Promise((resolve, reject) => {
      const deaf = follow(identity, {
        stage: (progress) => this.show(progress),
        object: seen,
        result: () => resolve(true),
        problem: reject,
      });
      this.stop.onclick = () => {
        deaf();
        giveUp(identity).then(() => resolve(false), reject);
      };
    }).finally(() => this.end());
  }

  end() {
    clearInterval(this.ticking);
    this.link.hidden = this.stop.hidden = true;
  }

  hide() {
    this.end();
    this.panel.hidden = true;
  }

  /** Show how far one stage is. */
  show({ stage, state, done, total, ms }) {
    const item = this.panel.querySelector(`[data-stage="${stage}"]`);
    if (!item) return;
    const count = total ? `${done} of ${total}` : "";
    const time = state === "done" && ms !== null ? duration(ms) : "";
    if (item.dataset.state !== state) this.spoken.textContent = `${stage}: ${WORDS[state]}`;
    this.#state(item, state, [count, time].filter(Boolean).join(", "));
    const bar = item.querySelector("progress");
    bar.max = total || 1;
    bar.value = state === "running" ? done : bar.max;
  }

  #state(item, state, words = "") {
    item.dataset.state = state;
    item.querySelector(".state").textContent = words || WORDS[state];
    item.querySelector("progress").value = 0;
  }
}

function duration(ms) {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
