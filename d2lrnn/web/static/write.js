import { ask, asked, eventsOf, form, makePointable, onSent, showTexts, texts } from "./page.js";

const words = document.body.dataset.level === "word";
const UNIT = words ? "word" : "character";
const MARK = /[\p{P}\s]/u;
const LONGEST_QUOTE = 60; // characters
const BOUNDS = [0.01, 0.05, 0.2, 0.5]; // probabilities between the classes p1 to p5
let rows = []; // the texts that are shown

/* The form */

function showMode() {
  const mode = form.elements.mode?.value ?? "text";
  for (const field of form.querySelectorAll("[data-modes]")) {
    field.hidden = !field.dataset.modes.split(" ").includes(mode);
    for (const control of field.querySelectorAll("input, select")) control.disabled = field.hidden;
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
        makePointable(span, this.line, `p = ${event.p.toPrecision(2)}${placed}`);
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

async function write(signal) {
  if (form.querySelector("#new-seed").checked) form.elements.seed.value = Math.floor(Math.random() * 1e6);
  const acrostic = form.elements.mode?.value === "acrostic";
  let count = 0;
  rows = [];
  for await (const event of asked(signal)) {
    if ("rows" in event) {
      rows = Array.from({ length: event.rows }, () => new Text(event.prefix, acrostic));
      showTexts(rows);
    } else if ("text" in event) {
      rows[event.row].grow(event.text, event);
      count += words ? 1 : Array.from(event.text).length;
    } else rows[event.row].mark(event);
  }
  return `Written: ${counted(count)}.`;
}

/** Mark what texts copy that were not written to their end. */
async function markUnfinished() {
  const unfinished = rows.filter((row) => !row.marked);
  if (!unfinished.length || !("copies" in texts.dataset)) return;
  const response = await ask("copies", { texts: unfinished.map((row) => row.text) });
  for await (const event of eventsOf(response.body)) unfinished[event.row].mark(event);
}

onSent("Writing …", write, () => markUnfinished().catch(() => {})); // it fails where the server is gone
form.addEventListener("change", showMode);
form.elements.seed.addEventListener("input", () => {
  form.querySelector("#new-seed").checked = false;
});
showMode();
