// The objects of a step as a list: one row each, with its verdict, its reason and its refined description.

export class Rows {
  /** `on` has what is called: select(index), verdict(index, keep), edited(index, field, text), lit(index or null). */
  constructor(list, on) {
    this.list = list;
    this.on = on;
    this.current = null;
    list.addEventListener("focusin", (event) => this.#reach(rowOf(event.target)));
    list.addEventListener("pointerover", (event) => on.lit(rowOf(event.target)));
    list.addEventListener("pointerleave", () => on.lit(null));
    list.addEventListener("click", (event) => {
      const verdict = event.target.closest("[data-keep]");
      if (verdict) on.verdict(rowOf(verdict), verdict.dataset.keep === "true");
    });
    list.addEventListener("input", (event) => {
      on.edited(rowOf(event.target), event.target.dataset.field, event.target.value);
    });
  }

  /** Show `objects`, and of each what `said(index)` says. */
  show(objects, said) {
    this.list.replaceChildren(...objects.map(({ row }) => element(row, said(row.index))));
    for (const { row } of objects) this.mark(row.index, said(row.index).keep);
    this.list.scrollTop = 0;
    this.#reach(objects[0]?.row.index ?? null);
  }

  /** Show a verdict: true, false or null. */
  mark(index, keep) {
    const item = this.#item(index);
    item.dataset.verdict = { true: "kept", false: "rejected", null: "open" }[keep];
    for (const button of item.querySelectorAll("[data-keep]")) {
      button.setAttribute("aria-pressed", String(keep) === button.dataset.keep);
    }
    item.querySelector("[data-field=semantic]").parentNode.hidden = keep !== true;
  }

  /** Tell what is wrong with a row; "" takes it back. */
  blame(index, message) {
    const item = this.#item(index);
    item.querySelector(".fault").textContent = message;
    item.querySelector("[data-field=reasoning]").setAttribute("aria-invalid", Boolean(message));
  }

  light(index) {
    for (const item of this.list.children) item.classList.toggle("lit", Number(item.dataset.index) === index);
  }

  /** Scroll the list, and nothing else, to a row. */
  reveal(index) {
    const [item, frame] = [this.#item(index)?.getBoundingClientRect(), this.list.getBoundingClientRect()];
    if (!item) return;
    if (item.top < frame.top) this.list.scrollTop -= frame.top - item.top;
    if (item.bottom > frame.bottom) this.list.scrollTop += item.bottom - frame.bottom;
  }

  /** Focus a row, or of it the field "reasoning" or "semantic". */
  focus(index = this.current, field = null) {
    const item = this.#item(index) ?? this.list.firstElementChild;
    const found = item?.querySelector(field ? `[data-field=${field}]` : ".row");
    if (!found || found.parentNode.hidden) return;
    this.#reach(Number(item.dataset.index));
    found.focus();
    if (field) found.select();
  }

  /** Focus the row that is `by` rows further; at the ends it stays. */
  move(by) {
    const items = [...this.list.children];
    const at = items.findIndex((item) => Number(item.dataset.index) === this.current);
    const next = items[Math.max(0, Math.min(items.length - 1, at + by))];
    if (next) this.focus(Number(next.dataset.index));
  }

  #item(index) {
    return this.list.querySelector(`li[data-index="${index}"]`);
  }

  /** One row at a time is reached by Tab, with what is in it. */
  #reach(index) {
    this.current = index;
    for (const item of this.list.children) {
      const here = Number(item.dataset.index) === index;
      item.classList.toggle("current", here);
      for (const part of item.querySelectorAll("button, input")) part.tabIndex = here ? 0 : -1;
    }
    this.on.select(index);
  }
}

function element(row, said) {
  const item = document.createElement("li");
  item.dataset.index = row.index;
  const name = row.semantic ?? "not described";
  const head = make(item, "button", { className: "row", type: "button" });
  make(head, "span", { className: "chip", textContent: row.index });
  const words = make(head, "span", {});
  make(words, "span", { className: "semantic", textContent: name });
  make(words, "small", { textContent: `${row.spatial} · ${row.area_percent} %` });
  const verdicts = make(item, "span", { className: "verdicts" });
  for (const [keep, word, sign] of [["true", "Keep", "✓"], ["false", "Reject", "✗"]]) {
    const button = make(verdicts, "button", { type: "button", textContent: sign, title: word });
    button.dataset.keep = keep;
    button.setAttribute("aria-label", `${word} object ${row.index}, ${name}`);
  }
  const fields = [["reasoning", "why", "Reason"], ["semantic", "now", "Refined description, if it says more"]];
  for (const [field, sign, label] of fields) {
    const labelled = make(item, "label", {});
    make(labelled, "span", { textContent: sign });
    const input = make(labelled, "input", { value: said[field], placeholder: label, autocomplete: "off" });
    input.dataset.field = field;
    input.setAttribute("aria-label", `${label}, object ${row.index}`);
    input.setAttribute("aria-describedby", `fault-${row.index}`);
  }
  make(item, "p", { className: "fault", id: `fault-${row.index}` });
  return item;
}

function make(parent, tag, properties) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}

function rowOf(target) {
  const item = target.closest("li");
  return item && Number(item.dataset.index);
}
