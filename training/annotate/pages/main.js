// The page: one sample at a time, its path on the right and its objects on the image, every action on a key.
import { listen } from "./keys.js";
import { Overlay } from "./overlay.js";
import { Path } from "./path.js";
import { Rows } from "./rows.js";
import { ask, Edits } from "./server.js";
import { showSteps, tellAnswer, tellProgress } from "./telling.js";

const at = (id) => document.getElementById(id);
const overlay = new Overlay(at("overlay"));
const rows = new Rows(at("rows"), { select: light, verdict, edited, lit: light });
let edits;
let progress;
let number; // of the sample, from 1
let sample;
let path;
let step; // from 0
let faults = [];
let saving = false;

/** The number of the sample that the address names: it is shown, or on its way. */
const wanted = () => Number(location.hash.slice(1)) || number;

/** Show the sample that the address names. */
async function open() {
  const asked = wanted();
  let found;
  try {
    found = await ask(`/samples/${asked}`);
  } catch (refused) {
    if (asked === wanted()) tell(refused.message);
    return;
  }
  if (asked !== wanted()) return; // meanwhile another one was
  [number, sample, faults] = [asked, found, []];
  at("image").src = `/samples/${number}/image`;
  at("query").textContent = sample.query;
  overlay.show(sample);
  begin(edits.get(sample.id));
  rows.focus();
}

/** Begin with a path: the browser's own edits, or what the server has. */
function begin(edited) {
  path = new Path(sample.objects.map(({ row }) => row.index), edited ?? sample.path);
  tell("");
  about();
  show(0);
}

function about() {
  const { granularity, written_by: by, expected, path: before } = sample;
  const from = progress.saved[number - 1] ? `saved by ${by}` : before.length ? `path from ${by}` : "no path yet";
  const answer = expected && `the file's answer: ${expected.join(", ") || "nothing fits"}`;
  at("about").textContent = [granularity, from, answer].filter(Boolean).join(" · ");
  at("undo").hidden = !edits.get(sample.id);
  tellProgress(progress, number);
}

/** Show a step of the path. */
function show(which) {
  step = Math.max(0, Math.min(path.steps.length - 1, which));
  at("criterion").value = path.steps[step].criterion;
  at("otherwise").value = path.steps[step].otherwise;
  const here = path.of(step);
  rows.show(sample.objects.filter(({ row }) => here.includes(row.index)), (index) => path.said(step, index));
  blame();
  mark();
}

/** Show a step, and go on at its first object. */
function turn(which) {
  show(which);
  rows.focus();
}

/** Show what follows from the verdicts. */
function mark() {
  showSteps(at("steps"), path, step, turn);
  tellAnswer(path, step, sample);
  overlay.mark((index) => path.state(step, index));
  light(null);
}

function blame() {
  const here = faults.filter((fault) => fault.step === step + 1);
  at("criterion-fault").textContent = here.find((fault) => fault.index === null)?.message ?? "";
  at("criterion").setAttribute("aria-invalid", Boolean(at("criterion-fault").textContent));
  for (const index of path.of(step)) {
    rows.blame(index, here.filter((fault) => fault.index === index).map((fault) => fault.message).join(" "));
  }
}

/** Keep what was changed in the browser, and take back what was wrong there: at objects, or null, the step itself. */
function changed(where = [null]) {
  edits.set(sample.id, path.written());
  faults = faults.filter((fault) => fault.step !== step + 1 || !where.includes(fault.index));
  blame();
  about();
  tell("");
}

function verdict(index, keep) {
  if (index === null) return;
  const said = path.said(step, index);
  const turned = said.keep !== null && said.keep !== keep;
  said.keep = keep;
  rows.mark(index, keep);
  changed([index]);
  mark();
  at("spoken").textContent = `object ${index} ${keep ? "kept" : "rejected"}`;
  if (turned || !said.reasoning) rows.focus(index, "reasoning"); // a reason for the other verdict has to be another one
  else rows.move(1);
}

function edited(index, field, text) {
  path.said(step, index)[field] = text;
  changed([index]);
}

function light(index) {
  const lit = index ?? rows.current;
  overlay.light(lit);
  rows.light(lit);
  const found = sample?.objects.find(({ row }) => row.index === lit)?.row;
  if (found) at("caption").textContent = `${lit} · ${found.semantic ?? "not described"} · ${found.spatial}`;
}

function tell(message) {
  at("problem").textContent = message;
}

function go(to) {
  if (to === wanted()) return open();
  location.hash = to;
}

/** The first sample that is left from `from` on, and round; null where none is. */
function left(from) {
  const order = progress.saved.map((_, i) => (from + i) % progress.saved.length);
  const found = order.find((i) => !progress.saved[i]);
  return found === undefined ? null : found + 1;
}

/** Save what is shown, and go on; what is changed or gone to before the server answers stays. */
async function save() {
  if (saving || !sample) return;
  saving = true;
  const [of, which, written] = [sample, number, structuredClone(path.written())];
  try {
    progress = await ask(`/samples/${which}?of=${encodeURIComponent(of.id)}`, { path: written });
  } catch (refused) {
    return sample === of ? blamed(refused) : tell(`Sample ${which} is not saved.`);
  } finally {
    saving = false;
  }
  if (JSON.stringify(edits.get(of.id)) === JSON.stringify(written)) edits.set(of.id, null);
  of.path = written;
  of.written_by = progress.annotator;
  if (which !== wanted() || sample !== of || edits.get(of.id)) return about();
  const next = left(which);
  if (next !== null) return go(next);
  about();
  tell("");
  at("answer").textContent = "Saved. Every sample is annotated.";
}

/** Show why a path was not saved, at the first place that is to be mended. */
function blamed(refused) {
  faults = refused.faults ?? [];
  const whole = faults.filter((fault) => fault.step === null).map((fault) => fault.message);
  const [first] = faults.filter((fault) => fault.step !== null);
  if (first) show(first.step - 1);
  tell(first ? `Not saved: ${faults.length} to mend.` : `Not saved. ${whole.join(" ") || refused.message}`);
  if (first?.index) rows.focus(first.index, path.said(step, first.index).keep === null ? null : "reasoning");
  else if (first) at("criterion").focus();
}

const actions = {
  save,
  skip: () => (wanted() < progress.saved.length ? go(wanted() + 1) : tell("This is the last sample.")),
  back: () => (wanted() > 1 ? go(wanted() - 1) : tell("This is the first sample.")),
  first: () => (left(0) === null ? tell("Every sample is annotated.") : go(left(0))),
  undo() {
    if (!edits.get(sample.id) || !confirm("Undo all your edits of this sample?")) return;
    edits.set(sample.id, null);
    faults = [];
    begin(null);
    rows.focus();
  },
  add() {
    if (!path.answer.length) return tell("The last step keeps nothing that another one could decide on.");
    path.add();
    changed();
    show(path.steps.length - 1);
    at("criterion").focus();
  },
  remove() {
    const { criterion, said } = path.steps[step];
    const says = criterion || [...said.values()].some(({ reasoning }) => reasoning);
    if (says && !confirm("Remove this step, with what it says?")) return;
    path.remove(step);
    faults = [];
    changed();
    show(step);
    rows.focus();
  },
  nothing() {
    const last = path.steps.length - 1;
    path.nothing(last);
    show(last);
    changed();
    at("otherwise").focus();
  },
  keep: () => verdict(rows.current, true),
  reject: () => verdict(rows.current, false),
  down: () => rows.move(1),
  up: () => rows.move(-1),
  list: () => rows.focus(),
  reason: () => rows.focus(rows.current, "reasoning"),
  refine: () => rows.focus(rows.current, "semantic"),
  criterion: () => at("criterion").focus(),
  otherwise: () => at("otherwise").focus(),
  earlier: () => turn(step - 1),
  later: () => turn(step + 1),
};
listen(actions, at("letters"));

for (const field of ["criterion", "otherwise"]) {
  at(field).addEventListener("input", (event) => {
    path.steps[step][field] = event.target.value;
    changed(field === "otherwise" ? path.undecided(step) : [null]); // it is the reason of the undecided
    mark();
  });
}
at("image").addEventListener("error", () => tell("The image cannot be read."));
overlay.pointed = (index) => {
  light(index);
  if (index !== null) rows.reveal(index);
};
overlay.chosen = (index) => {
  if (path.of(step).includes(index)) rows.focus(index);
};
addEventListener("hashchange", open);

try {
  progress = await ask("/progress");
  edits = new Edits(progress.file);
  if (/^#[1-9][0-9]*$/.test(location.hash)) await open();
  else location.hash = left(0) ?? 1;
} catch (refused) {
  tell(refused.message);
}
