// The page of a twin in the making: it watches, and shows the twin when it is ready.
import { tell } from "./problem.js";
import { Seen } from "./seen.js";
import { Stages } from "./stages.js";

const at = (id) => document.getElementById(id);
const stages = new Stages(at("stages"));
const seen = new Seen(at("seen"), at("caption"));

stages.begin();
try {
  if (await stages.watch(document.body.dataset.twin, (item) => seen.show(item))) location.reload();
  else location.assign("/");
} catch (problem) {
  tell(at("problem"), problem);
}
