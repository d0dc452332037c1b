// Sends the form to POST /segment and goes to the page of the twin; a problem is shown in its own words.
const form = document.getElementById("ask");
const status = document.getElementById("status");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = form.querySelector("button");
  const started = Date.now();
  const tick = setInterval(() => {
    status.textContent = `Looking and thinking… ${Math.round((Date.now() - started) / 1000)} s`;
  }, 250);
  button.disabled = true;
  status.className = "";
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form) });
    const body = await response.json();
    if (response.ok) {
      location.assign(`/dt/${encodeURIComponent(body.twin_id)}`);
      return;
    }
    show(body.detail);
  } catch {
    show("The gateway did not answer. Is it running?");
  } finally {
    clearInterval(tick);
    button.disabled = false;
  }
});

function show(problem) {
  status.className = "problem";
  status.textContent = problem;
}
