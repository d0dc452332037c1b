// Another question about the image of this twin; its twin is the next page.
import { address, order } from "./build.js";
import { tell } from "./problem.js";
import { Seen } from "./seen.js";
import { Stages } from "./stages.js";

const at = (id) => document.getElementById(id);
const form = at("again");
const button = form.querySelector("button[type=submit]");
const stages = new Stages(at("stages"));
const seen = new Seen(at("seen"), at("caption"));

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (button.disabled) return;
  button.disabled = true;
  tell(at("problem"), null);
  stages.begin();
  const body = JSON.stringify({ query: form.elements.query.value });
  try {
    const { identity, ready } = await order(form.action, { headers: { "Content-Type": "application/json" }, body });
    if (ready || (await stages.watch(identity, (item) => seen.show(item)))) location.assign(address(identity));
    else stages.hide();
  } catch (problem) {
    stages.end();
    tell(at("problem"), problem);
  } finally {
    button.disabled = false;
    seen.clear();
  }
});
