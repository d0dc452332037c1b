// The page of a twin: image, list and path point at the same objects.
import "./again.js";
import "./copy.js";
import { read } from "./build.js";
import { Overlay } from "./overlay.js";
import { numbers, Path } from "./path.js";
import { tell } from "./problem.js";
import { roving } from "./roving.js";

const at = (id) => document.getElementById(id);
const figure = at("figure");
const rows = [...document.querySelectorAll("button[data-index]")];
const path = new Path(at("path"), numbers(figure.dataset.answer));
const svg = at("overlay");
const overlay = new Overlay(svg, Number(figure.dataset.width), Number(figure.dataset.height));
const hint = at("caption").textContent;
let pinned = null; // the index that stays lit

function light(index) {
  const lit = index ?? pinned;
  overlay.light(lit);
  for (const row of rows) row.classList.toggle("lit", Number(row.dataset.index) === lit);
  const row = objectRow(lit);
  at("caption").textContent = row ? `${lit} · ${row.querySelector(".semantic").textContent}` : hint;
}

function pin(index) {
  pinned = index === pinned ? null : index;
  for (const row of rows) {
    const open = Number(row.dataset.index) === pinned;
    const more = at(row.getAttribute("aria-controls"));
    row.setAttribute(more ? "aria-expanded" : "aria-pressed", open);
    if (more) more.hidden = !open;
  }
  light(null);
}

function objectRow(index) {
  return rows.find((row) => Number(row.dataset.index) === index && at("objects").contains(row));
}

/** Scroll the list, and never the page, to the row of an object. */
function reveal(index) {
  const row = objectRow(index);
  const list = at("objects");
  if (!row || list.scrollHeight <= list.clientHeight) return;
  const [box, frame] = [row.getBoundingClientRect(), list.getBoundingClientRect()];
  if (box.top < frame.top) list.scrollTop -= frame.top - box.top;
  if (box.bottom > frame.bottom) list.scrollTop += box.bottom - frame.bottom;
}

function view(name) {
  overlay.mark((index) => path.state(name, index));
  for (const step of document.querySelectorAll("[data-step]")) {
    if (step.dataset.step === name) step.setAttribute("aria-current", "step");
    else step.removeAttribute("aria-current");
  }
}

for (const row of rows) {
  const index = Number(row.dataset.index);
  row.addEventListener("pointerenter", () => light(index));
  row.addEventListener("pointerleave", () => light(null));
  row.addEventListener("focus", () => light(index));
  row.addEventListener("blur", () => light(null));
  row.addEventListener("click", () => pin(index));
}
overlay.pointed = (index) => {
  light(index);
  if (index !== null) reveal(index);
};
overlay.chosen = (index) => {
  pin(index);
  if (pinned !== null) objectRow(pinned).scrollIntoView({ block: "nearest" });
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && pinned !== null) pin(null);
});
for (const radio of document.querySelectorAll("[name=view]")) {
  radio.addEventListener("change", () => view(radio.value));
}
for (const step of document.querySelectorAll("[data-step] .show")) {
  step.addEventListener("click", () => {
    const radio = document.querySelector(`[name=view][value="${step.closest("[data-step]").dataset.step}"]`);
    radio.checked = true;
    view(radio.value);
  });
}
roving(at("objects"));
roving(at("path"));

function shown(image) {
  if (image.complete) return Promise.resolve(image.naturalWidth > 0);
  return new Promise((resolve) => {
    image.addEventListener("load", () => resolve(true), { once: true });
    image.addEventListener("error", () => resolve(false), { once: true });
  });
}

try {
  const twin = await read(document.body.dataset.twin);
  for (const item of twin.objects) overlay.add(item.index, item.mask); // from the largest down: small ones lie on top
  view(document.querySelector("[name=view]:checked").value);
  light(null);
  svg.dataset.ready = twin.objects.length;
  const image = at("image");
  if (!(await shown(image))) {
    image.src = image.src; // the store may be there again
    at("no-image").hidden = await shown(image);
  }
} catch (problem) {
  tell(at("problem"), problem);
}
