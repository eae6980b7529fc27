// The table of steps: as the page came with it, or so many rows at a time, filtered by what somebody looks for.

const ROWS = 200;

class Steps {
  /** choose: called with the number of a step that somebody has chosen. */
  constructor(data, choose) {
    this.data = data;
    this.choose = choose;
    this.body = document.querySelector("#steps tbody");
    this.note = document.querySelector("#steps .count");
    this.find = document.querySelector("#find");
    this.found = data.steps.map((_, number) => number);
    this.first = 0;
    this.find.addEventListener("input", () => this.filter());
    document.querySelector("#earlier").addEventListener("click", () => this.turn(this.first - ROWS));
    document.querySelector("#later").addEventListener("click", () => this.turn(this.first + ROWS));
    document.querySelector("#steps .tools").hidden = data.steps.length < 2;
    this.turn(0);
  }

  /** Leave only the steps that every word fits: their name, status, error, or what they were given. */
  filter() {
    const words = this.find.value.toLowerCase().split(/\s+/).filter(Boolean);
    this.found = [];
    this.data.steps.forEach((step, number) => {
      const text = [step.name, this.data.words[step.status], (step.error || [""])[0], (step.input || [""])[0]]
        .join(" ").toLowerCase();
      if (words.every((word) => text.includes(word))) this.found.push(number);
    });
    this.turn(0);
  }

  /** Show the rows from a place on. */
  turn(first) {
    this.first = Math.max(0, Math.min(first, Math.floor((this.found.length - 1) / ROWS) * ROWS));
    const shown = this.found.slice(this.first, this.first + ROWS);
    this.body.replaceChildren(...shown.map((number) => this.row(number)));
    const [from, to] = [this.first + 1, this.first + shown.length];
    const all = this.found.length;
    const range = all > ROWS ? `Steps ${grouped(from)} to ${grouped(to)} of ${grouped(all)}` : `${grouped(all)} ${all === 1 ? "step" : "steps"}`;
    this.note.textContent = all === this.data.steps.length ? range : `${range} found`;
    document.querySelector("#earlier").hidden = document.querySelector("#later").hidden = all <= ROWS;
    document.querySelector("#earlier").disabled = this.first === 0;
    document.querySelector("#later").disabled = to >= all;
    if (this.chosen !== undefined) this.mark(this.chosen);
  }

  row(number) {
    const step = this.data.steps[number];
    const [tries, began, took, tokens, cost] = step.row;
    const button = element("button", { type: "button", class: "step" }, step.name);
    button.addEventListener("click", () => this.choose(number));
    const cell = (text, kind) => element("td", { class: kind }, text);
    return element("tr", { "data-step": number },
      element("th", { scope: "row" }, button),
      element("td", { class: "s" }, element("span", { class: `dot ${step.status}`, "aria-hidden": "true" }, this.data.glyphs[step.status]), this.data.words[step.status]),
      cell(tries, "n"), cell(began, "n"), cell(took, "n"), cell(tokens, "n"), cell(cost, "n"),
      cell(step.error ? visible(step.error[0].split("\n")[0].slice(0, 200)) : "", "why"));
  }

  /** Mark a chosen step, and bring its row onto the page. */
  mark(number, { show = false } = {}) {
    this.chosen = number;
    if (show) {
      const place = this.found.indexOf(number);
      if (place >= 0 && (place < this.first || place >= this.first + ROWS)) this.turn(Math.floor(place / ROWS) * ROWS);
    }
    for (const row of this.body.children) {
      const isIt = Number(row.dataset.step) === number;
      row.classList.toggle("chosen", isIt);
      if (isIt) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
      if (isIt && show) row.scrollIntoView({ block: "nearest" });
    }
  }

  /** Return the step that comes so many rows after the chosen one among those found. */
  next(by) {
    if (!this.found.length) return null;
    const place = this.found.indexOf(this.chosen);
    if (place < 0) return this.found[by > 0 ? 0 : this.found.length - 1];
    return this.found[Math.max(0, Math.min(place + by, this.found.length - 1))];
  }
}
