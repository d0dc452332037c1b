// A list of buttons as one stop of the Tab key; the arrow keys, Home and End move within it.

export function roving(list) {
  const buttons = () => [...list.querySelectorAll("button[data-index]")].filter((button) => button.offsetParent);
  const reach = (button) => {
    for (const other of list.querySelectorAll("button[data-index]")) other.tabIndex = other === button ? 0 : -1;
  };
  list.addEventListener("focusin", (event) => {
    if (event.target.matches("button[data-index]")) reach(event.target);
  });
  list.addEventListener("keydown", (event) => {
    const all = buttons();
    const here = all.indexOf(document.activeElement);
    if (here < 0) return;
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    all[Math.max(0, Math.min(all.length - 1, next))].focus();
  });
  if (buttons().length) reach(buttons()[0]);
}
