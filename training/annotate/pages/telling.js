// What the page says of a path and of the whole work.

const at = (id) => document.getElementById(id);

/** The steps as buttons; `shown` is called with the one that is chosen. */
export function showSteps(list, path, here, shown) {
  const buttons = path.steps.map(({ criterion }, step) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "step";
    const [of, kept, open] = [path.of(step), path.kept(step), path.undecided(step)].map((found) => found.length);
    button.textContent = `${step + 1} · ${criterion || "…"}`;
    const count = document.createElement("small");
    count.textContent = ` ${of} → ${kept}${open ? `, ${open} undecided` : ""}`;
    button.append(count);
    if (step === here) button.setAttribute("aria-current", "step");
    button.addEventListener("click", () => shown(step));
    return button;
  });
  list.replaceChildren(...buttons.map((button) => {
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

/** The answer so far, and what the actions below the list would do. */
export function tellAnswer(path, step, { expected }) {
  const answer = path.answer;
  const last = path.steps.length - 1;
  const open = path.undecided(last).length > 0 && !path.steps[last].otherwise;
  const other = expected && !open && answer.join() !== expected.join();
  at("answer").replaceChildren(open ? "Answer: not decided yet" : `Answer: ${answer.join(", ") || "nothing fits"}`);
  if (other) {
    const note = document.createElement("small");
    note.textContent = ` unlike the file's, ${expected.join(", ") || "nothing fits"}`;
    at("answer").append(note);
  }
  const undecided = path.undecided(step).length;
  at("undecided").textContent = undecided ? `${undecided} undecided` : "none is";
  at("add").textContent = answer.length ? `Add a step over ${answer.join(", ")}` : "Add a step";
}

export function tellProgress({ saved, annotator, output }, number) {
  const done = saved.filter(Boolean).length;
  at("where").textContent = `Sample ${number} of ${saved.length}${saved[number - 1] ? " ✓" : ""}`;
  at("bar").max = saved.length;
  at("bar").value = done;
  at("done").textContent = `${done} of ${saved.length} annotated`;
  at("done").title = `by ${annotator}, in ${output}`;
  document.title = `${done}/${saved.length} annotated`;
}
