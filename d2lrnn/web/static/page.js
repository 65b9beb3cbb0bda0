/* What the pages share: the form, the answer to what it asks, the pieces of texts that can be pointed at. */

export const form = document.querySelector("#wish");
export const texts = document.querySelector("#texts");
export const status = document.querySelector("#status");
export const narrow = matchMedia("(max-width: 48rem)"); // as in page.css: the texts stand below the form
const tip = document.querySelector("#tip");
const error = document.querySelector("#error");
const choices = form.querySelector("#choices");
let controller = null; // of the request that is being answered; null: none
let pointed = null; // the piece that is pointed at, or has the focus
let begin = () => {}; // called with the piece
let end = () => {}; // called when it is left

export class Refusal extends Error {
  constructor(message, field) {
    super(message);
    this.field = field; // the name of the field of the form that is meant, if one is
  }
}

/* The form */

function showValues() {
  for (const output of form.querySelectorAll("output")) {
    output.value = Number(form.elements[output.htmlFor].value).toFixed(2);
  }
}

export function readWish() {
  const wish = {};
  for (const control of form.elements) {
    if (control.validity.badInput) {
      throw new Refusal(`“${control.labels[0].textContent}” is no number`, control.name);
    }
    if (!control.name || control.disabled || control.type === "radio") continue;
    if (control.type === "checkbox") wish[control.name] = control.checked;
    else if (["text", "textarea", "select-one"].includes(control.type)) wish[control.name] = control.value;
    else if (control.value) wish[control.name] = Number(control.value);
  }
  return wish;
}

function showError(message, field) {
  for (const control of form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  error.textContent = message;
  error.hidden = !message;
  if (message) error.scrollIntoView({ block: "nearest" });
  const named = field && form.elements.namedItem(field);
  if (named instanceof HTMLElement) {
    named.setAttribute("aria-invalid", "true");
    if (choices.contains(named)) choices.open = true;
    named.focus({ preventScroll: true });
  }
}

/* Requests and their answers */

export async function* eventsOf(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) yield JSON.parse(line);
  }
}

export async function ask(path, what, signal) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(what),
    signal,
  });
  if (response.ok) return response;
  const { error, field } = await response.json();
  throw new Refusal(error, field);
}

/** Yield the events of what the form asks for, up to its end. */
export async function* asked(signal) {
  const response = await ask("write", readWish(), signal);
  for await (const event of eventsOf(response.body)) {
    if ("error" in event) throw new Refusal(event.error);
    if (event.done) return;
    yield event;
  }
  throw new TypeError("the stream was cut off");
}

/** Show new texts in place of those that are shown. */
export function showTexts(rows) {
  texts.replaceChildren(...rows.map((row) => row.element));
  document.querySelector("#empty").hidden = true;
  if (narrow.matches) status.scrollIntoView();
}

/**
 * Call `answer` with an AbortSignal when the form is sent; it returns the status to show.
 * Where it fails or is stopped, `unfinished` is called.
 */
export function onSent(doing, answer, unfinished = async () => {}) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (controller) return;
    controller = new AbortController();
    showError("");
    showRunning(true);
    status.textContent = doing;
    try {
      status.textContent = await answer(controller.signal);
    } catch (problem) {
      status.textContent = controller.signal.aborted ? "Stopped." : "";
      if (problem instanceof Refusal) showError(problem.message, problem.field);
      else if (!controller.signal.aborted) showError("d2lrnn does not answer: does it still run in its terminal?");
      await unfinished();
    } finally {
      controller = null;
      showRunning(false);
    }
  });
}

function showRunning(running) {
  form.querySelector("#start").disabled = running;
  form.querySelector("#stop").disabled = !running;
  if (!running) for (const row of texts.children) row.classList.remove("writing");
}

/* The piece of a text that is pointed at */

/** Let a piece be pointed at, or reached by keys: Tab stops once in a line, the arrow keys go on.  A tip shows `text`,
    above the piece, or below it in a line with `data-tips="below"`. */
export function makePointable(piece, line, text) {
  piece.tabIndex = line.querySelector("[data-tip]") ? -1 : 0;
  piece.dataset.tip = text;
}

/** Call `over` with a piece that is pointed at, and `out` when it is left. */
export function onPointing(over, out) {
  begin = over;
  end = out;
}

/** Show the piece under the pointer; where there is none, the piece that a tap, a click or a key gave the focus. */
function point(event) {
  const piece = event.target.closest?.("[data-tip]") ?? texts.querySelector("[data-tip]:focus");
  if (piece === pointed) return;
  leave();
  if (!piece) return;
  pointed = piece;
  tip.textContent = pointed.dataset.tip;
  tip.hidden = false;
  pointed.setAttribute("aria-describedby", "tip");
  const place = pointed.getClientRects()[0];
  const left = place.left + place.width / 2 - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
  const above = place.top - tip.offsetHeight - 4;
  const below = above < 4 || pointed.closest("[data-tips=below]");
  tip.style.top = `${below ? place.bottom + 4 : above}px`;
  begin(pointed);
}

function leave() {
  tip.hidden = true;
  if (!pointed) return;
  pointed.removeAttribute("aria-describedby");
  pointed = null;
  end();
}

function goAlong(event) {
  const line = event.target.closest(".text");
  if (!line || event.altKey || event.ctrlKey || event.metaKey) return;
  const forwards = getComputedStyle(line).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
  if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
  const pieces = [...line.querySelectorAll("[data-tip]")];
  const next = pieces[pieces.indexOf(event.target) + (event.key === forwards ? 1 : -1)];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

form.addEventListener("input", showValues);
form.elements.stop.addEventListener("click", () => controller?.abort());
texts.addEventListener("mouseover", point);
texts.addEventListener("mouseleave", point);
texts.addEventListener("focusin", point);
texts.addEventListener("focusout", leave);
texts.addEventListener("keydown", goAlong);
addEventListener("scroll", leave, { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && controller?.abort());
choices.open = !narrow.matches;
showValues();
