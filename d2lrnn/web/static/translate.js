import { asked, form, makePointable, onPointing, onSent, showTexts, texts } from "./page.js";

const NAMED = 3; // pieces that a tip names
const LONGEST_NAME = 24; // characters
let rows = []; // the sentences that are shown, each with its translation

/* Sentences and their translations */

function newLine(kind, name) {
  const line = document.createElement("div");
  line.className = `text ${kind}`;
  line.dir = "auto";
  line.setAttribute("role", "group");
  line.setAttribute("aria-label", name);
  return line;
}

function fill(line, pieces, marked, mark) {
  const elements = pieces.map((piece) => {
    const element = document.createElement("span");
    element.className = "piece";
    element.textContent = piece.startsWith(" ") && piece.length > 1 ? piece.slice(1) : piece;
    if (element.textContent !== piece) line.append(" ");
    line.append(element);
    return element;
  });
  for (const i of marked) elements[i].classList.add(mark);
  return elements;
}

class Row {
  constructor({ pieces, unknown, names }) {
    this.element = document.createElement("li");
    this.element.className = "writing";
    this.sentence = newLine("sentence", "Sentence");
    this.translation = newLine("translation", "Translation");
    this.translation.dataset.tips = "below"; // above them is the sentence, which shows what is looked at
    this.element.append(this.sentence, this.translation);
    this.source = fill(this.sentence, pieces, unknown, "unknown");
    this.target = [];
    if (names) this.remark(`Unknown to the model: ${names}.`);
  }

  remark(text) {
    const remark = document.createElement("p");
    remark.className = "remark";
    remark.textContent = text;
    this.element.append(remark);
  }

  finish({ pieces, copied, cut, looks }) {
    this.element.classList.remove("writing");
    this.target = fill(this.translation, pieces, copied, "copied");
    if (!pieces.length) this.remark("The model wrote nothing.");
    if (cut) this.remark(`The translation was cut after ${pieces.length} tokens: the model came to no end.`);
    if (looks) this.link(looks);
  }

  /** Let each piece show where the other side's weights are: `looks` has a row for each piece of the translation. */
  link(looks) {
    this.target.forEach((piece, j) => this.join(piece, this.translation, this.source, looks[j], "looked at:"));
    this.source.forEach((piece, i) => {
      const weights = looks.map((row) => row[i]);
      this.join(piece, this.sentence, this.target, weights, "looked at for:");
    });
  }

  join(piece, line, others, weights, what) {
    const places = weights.flatMap((weight, i) => (weight ? [i] : [])).sort((a, b) => weights[b] - weights[a]);
    const names = places.slice(0, NAMED).map((i) => `${named(others[i].textContent)} ${weights[i]} %`);
    makePointable(piece, line, `${what} ${names.join(", ") || "nothing"}`);
    piece.looks = { others, weights };
  }
}

/** Return a piece as a tip names it, in isolation: its direction is not that of the tip. */
function named(text) {
  const characters = Array.from(text.trim() || "␣");
  const name = characters.length > LONGEST_NAME ? `${characters.slice(0, LONGEST_NAME).join("")}…` : characters.join("");
  return `\u2068${name}\u2069`;
}

async function translate(signal) {
  let done = 0;
  rows = [];
  for await (const event of asked(signal)) {
    if ("sources" in event) {
      rows = event.sources.map((source) => new Row(source));
      showTexts(rows);
    } else {
      rows[event.row].finish(event);
      done += 1;
    }
  }
  return `Translated: ${done} sentence${done === 1 ? "" : "s"}.`;
}

/* What the piece that is pointed at has to do with */

function darken({ looks }) {
  looks.others.forEach((piece, i) => {
    piece.classList.toggle("looked", looks.weights[i] > 0);
    piece.style.setProperty("--look", looks.weights[i] / 100);
  });
}

function lighten() {
  for (const piece of texts.querySelectorAll(".looked")) piece.classList.remove("looked");
}

onSent("Translating …", translate);
onPointing(darken, lighten);
form.elements.text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
