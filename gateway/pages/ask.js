// The form: an image and a question go in, the stages are watched, the twin's page is next.
import { address, order } from "./build.js";
import { Picture } from "./picture.js";
import { tell } from "./problem.js";
import { Seen } from "./seen.js";
import { Stages } from "./stages.js";

const at = (id) => document.getElementById(id);
const form = at("ask");
const button = form.querySelector("button[type=submit]");
const stages = new Stages(at("stages"));
const seen = new Seen(at("seen"), at("caption"));

const picture = new Picture(form.elements.image, at("drop"), at("preview"), (file, size) => {
  seen.clear();
  const words = size ? `${size[0]} × ${size[1]} pixels` : "no preview";
  at("file").textContent = file ? `${file.name} · ${words}` : "";
});

at("example").addEventListener("click", async () => {
  const response = await fetch("/static/example.jpg");
  picture.take(new File([await response.blob()], "example.jpg", { type: "image/jpeg" }));
  form.elements.query.value = at("example").dataset.query;
  form.elements.query.focus();
});

form.elements.query.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    form.requestSubmit();
  }
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  button.disabled = true;
  tell(at("problem"), null);
  seen.clear();
  stages.begin();
  try {
    const { identity, ready } = await order(form.action, { body: new FormData(form) });
    if (ready || (await stages.watch(identity, (item) => seen.show(item)))) location.assign(address(identity));
    else stages.hide();
  } catch (problem) {
    stages.end();
    tell(at("problem"), problem);
  } finally {
    button.disabled = false;
  }
});
