// Which key does what. Keys of one letter are heard outside of text fields, and can be turned off.

const LETTERS = {
  ArrowDown: "down", j: "down", ArrowUp: "up", k: "up", y: "keep", x: "reject", Enter: "reason", r: "refine",
  c: "criterion", o: "otherwise", a: "add", 0: "nothing", d: "remove", "[": "earlier", "]": "later", u: "undo",
  s: "save", n: "skip", p: "back", g: "first", Escape: "list",
};
const REPEATED = ["down", "up", "skip", "back"];
const IN_A_FIELD = { Escape: "list", ArrowDown: "down", ArrowUp: "up" };

/** Do `actions` by name as keys and buttons with data-do ask for them; `letters` is the checkbox for keys of one letter. */
export function listen(actions, letters) {
  letters.checked = localStorage.getItem("letters") !== "off";
  letters.addEventListener("change", () => localStorage.setItem("letters", letters.checked ? "on" : "off"));
  document.addEventListener("click", (event) => {
    const name = event.target.closest("[data-do]")?.dataset.do;
    if (name) actions[name]();
  });
  document.addEventListener("keydown", (event) => {
    const name = wanted(event, letters.checked);
    if (!name) return;
    event.preventDefault();
    if (!event.repeat || REPEATED.includes(name)) actions[name](); // a key held down saves, keeps and removes once
  });
}

function wanted(event, letters) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey) return key === "Enter" ? "save" : null;
  if (event.altKey || event.isComposing) return null;
  if (target.matches("input:not([type=checkbox])")) {
    if (key === "Enter") return target.dataset.field ? "down" : "list";
    return IN_A_FIELD[key] ?? null;
  }
  if (key === "Enter" && !target.matches(".row, body")) return null; // it presses a button
  if (key.length === 1 && !letters) return null;
  return LETTERS[key] ?? null;
}
