const form = document.querySelector("#wish");
const texts = document.querySelector("#texts");
const tip = document.querySelector("#tip");
const error = document.querySelector("#error");
const status = document.querySelector("#status");
const words = document.body.dataset.level === "word";
const UNIT = words ? "word" : "character";
const MARK = /[\p{P}\s]/u;
const LONGEST_QUOTE = 60; // characters
const BOUNDS = [0.01, 0.05, 0.2, 0.5]; // probabilities between the classes p1 to p5
const narrow = matchMedia("(max-width: 48rem)"); // as in page.css: the texts stand below the form
let controller = null; // of the request that is being answered; null: none
let rows = []; // the texts that are shown

class Refusal extends Error {
  constructor(message, field) {
    super(message);
    this.field = field; // the name of the field of the form that is meant, if one is
  }
}

/* The form */

function showMode() {
  const mode = form.elements.mode?.value ?? "text";
  for (const field of form.querySelectorAll("[data-modes]")) {
    field.hidden = !field.dataset.modes.split(" ").includes(mode);
    for (const control of field.querySelectorAll("input, select")) control.disabled = field.hidden;
  }
}

function showValues() {
  for (const output of form.querySelectorAll("output")) {
    output.value = Number(form.elements[output.htmlFor].value).toFixed(2);
  }
}

function readWish() {
  const wish = {};
  for (const control of form.elements) {
    if (control.validity.badInput) {
      throw new Refusal(`“${control.labels[0].textContent}” is no number`, control.name);
    }
    if (!control.name || control.disabled || control.type === "radio") continue;
    if (control.type === "checkbox") wish[control.name] = control.checked;
    else if (control.type === "text" || control.type === "select-one") wish[control.name] = control.value;
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
    if (form.querySelector("#choices").contains(named)) form.querySelector("#choices").open = true;
    named.focus({ preventScroll: true });
  }
}

/* The texts */

function counted(count) {
  return `${count} ${UNIT}${count === 1 ? "" : "s"}`;
}

function piecesOf(text) {
  return words ? text.match(/\s+|\S+/gu) ?? [] : Array.from(text);
}

class Text {
  constructor(prefix, acrostic) {
    this.element = document.createElement("li");
    this.line = document.createElement("p");
    this.line.className = "text";
    this.element.append(this.line);
    this.element.classList.add("writing");
    this.acrostic = acrostic;
    this.pieces = []; // in order: { element, begin, end }; it ends before the character `end` of the text
    this.length = 0; // in characters
    this.text = "";
    this.marked = false; // whether it is known what the text copies
    this.grow(prefix, null);
  }

  grow(text, event) {
    this.text += text;
    for (const shown of piecesOf(text)) {
      const span = document.createElement("span");
      const after = this.pieces.at(-1)?.element.textContent ?? "\n";
      span.textContent = shown;
      span.className = "piece";
      if (this.acrostic && MARK.test(after) && !MARK.test(shown)) span.classList.add("head");
      if (shown === "\n") span.classList.add("break");
      if (event === null) span.classList.add("given");
      else if (!words || shown.trim()) {
        span.classList.add(`p${1 + BOUNDS.filter((bound) => event.p >= bound).length}`);
        const placed = event.read ? `, of ${event.read}: the model does not know ${shown}` : "";
        span.dataset.p = `p = ${event.p.toPrecision(2)}${placed}`;
        span.tabIndex = this.line.querySelector("[data-p]") ? -1 : 0; // Tab stops once a text, arrow keys go on
      }
      this.line.append(span);
      const size = Array.from(shown).length;
      this.pieces.push({ element: span, begin: this.length, end: this.length + size });
      this.length += size;
    }
  }

  mark(found) {
    this.marked = true;
    for (const [begin, end] of found.spans) {
      for (const piece of this.pieces) {
        if (piece.begin < end && piece.end > begin) piece.element.classList.add("copied");
      }
    }
    const percent = (share) => (share === null ? "–" : `${(100 * share).toFixed(1)} %`);
    const copy = Array.from(found.copy.replaceAll("\n", "↵"));
    const quote = copy.length > LONGEST_QUOTE ? `${copy.slice(0, LONGEST_QUOTE).join("")}…` : copy.join("");
    const figures = document.createElement("p");
    figures.className = "copies";
    figures.textContent =
      `Longest copy: ${counted(found.longest)}` +
      (quote ? `, “${quote}”` : "") +
      ` · copied: ${percent(found.ngrams)} of ${texts.dataset.ngram}-grams, ${percent(found.tokens)} of ${UNIT}s`;
    this.element.append(figures);
  }
}

async function* eventsOf(stream) {
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

async function ask(path, what, signal) {
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

async function show(response, acrostic) {
  let count = 0;
  for await (const event of eventsOf(response.body)) {
    if ("rows" in event) {
      rows = Array.from({ length: event.rows }, () => new Text(event.prefix, acrostic));
      texts.replaceChildren(...rows.map((row) => row.element));
      document.querySelector("#empty").hidden = true;
      if (narrow.matches) status.scrollIntoView();
    } else if ("text" in event) {
      rows[event.row].grow(event.text, event);
      count += words ? 1 : Array.from(event.text).length;
    } else if ("spans" in event) rows[event.row].mark(event);
    else if ("error" in event) throw new Refusal(event.error);
    else if (event.done) return count;
  }
  throw new TypeError("the stream was cut off");
}

/** Mark what texts copy that were not written to their end. */
async function markUnfinished() {
  const unfinished = rows.filter((row) => !row.marked);
  if (!unfinished.length || !("copies" in texts.dataset)) return;
  const response = await ask("copies", { texts: unfinished.map((row) => row.text) });
  for await (const event of eventsOf(response.body)) unfinished[event.row].mark(event);
}

async function write(event) {
  event.preventDefault();
  if (controller) return;
  if (form.querySelector("#new-seed").checked) form.elements.seed.value = Math.floor(Math.random() * 1e6);
  controller = new AbortController();
  const acrostic = form.elements.mode?.value === "acrostic";
  showError("");
  showRunning(true);
  status.textContent = "Writing …";
  try {
    const wish = readWish();
    rows = [];
    const count = await show(await ask("write", wish, controller.signal), acrostic);
    status.textContent = `Written: ${counted(count)}.`;
  } catch (problem) {
    status.textContent = controller.signal.aborted ? "Stopped." : "";
    if (problem instanceof Refusal) showError(problem.message, problem.field);
    else if (!controller.signal.aborted) showError("d2lrnn does not answer: does it still run in its terminal?");
    await markUnfinished().catch(() => {}); // it fails where the server is gone
  } finally {
    controller = null;
    showRunning(false);
  }
}

function showRunning(running) {
  form.querySelector("#write").disabled = running;
  form.querySelector("#stop").disabled = !running;
  if (!running) for (const row of texts.children) row.classList.remove("writing");
}

/* The probability of the character or word that is pointed at */

function showTip(event) {
  const piece = event.target.closest?.("[data-p]");
  tip.hidden = !piece;
  if (!piece) return;
  tip.textContent = piece.dataset.p;
  const place = piece.getClientRects()[0];
  const left = place.left + place.width / 2 - tip.offsetWidth / 2;
  tip.style.left = `${Math.max(4, Math.min(left, document.documentElement.clientWidth - tip.offsetWidth - 4))}px`;
  tip.style.top = `${place.top > tip.offsetHeight + 8 ? place.top - tip.offsetHeight - 4 : place.bottom + 4}px`;
}

function hideTip() {
  tip.hidden = true;
}

function goAlong(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const line = event.target.closest(".text");
  if (!step || !line || event.altKey || event.ctrlKey || event.metaKey) return;
  const pieces = [...line.querySelectorAll("[data-p]")];
  const next = pieces[pieces.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}

form.addEventListener("submit", write);
form.addEventListener("input", showValues);
form.addEventListener("change", showMode);
form.elements.seed.addEventListener("input", () => {
  form.querySelector("#new-seed").checked = false;
});
form.elements.stop.addEventListener("click", () => controller?.abort());
texts.addEventListener("mouseover", showTip);
texts.addEventListener("mouseleave", hideTip);
texts.addEventListener("focusin", showTip);
texts.addEventListener("focusout", hideTip);
texts.addEventListener("keydown", goAlong);
addEventListener("scroll", hideTip, { passive: true });
addEventListener("keydown", (event) => event.key === "Escape" && controller?.abort());
form.querySelector("#choices").open = !narrow.matches;
showMode();
showValues();
