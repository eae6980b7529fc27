// The timeline: its bars can be chosen, and its time can be spread out.

const MOST_ZOOM = 64;

class TimelineView {
  /** choose: called with the number of a step that somebody has chosen. */
  constructor(data, choose) {
    this.svg = document.querySelector("#timeline svg");
    if (!this.svg) return;
    this.zoom = 1;
    this.left = Number(this.svg.dataset.plotLeft);
    this.whole = this.svg.viewBox.baseVal.width;
    this.plot = Number(this.svg.dataset.plotWidth);
    this.svg.setAttribute("role", "group");
    const numbers = new Map(data.steps.map((step, number) => [step.key, number]));
    this.bars = [...this.svg.querySelectorAll("[data-task]")].filter((bar) => numbers.has(bar.dataset.task));
    for (const bar of this.bars) this.prepare(bar, () => choose(numbers.get(bar.dataset.task)));
    this.parts = [...this.svg.querySelectorAll("rect, text, line, path")]
      .filter((part) => !part.closest("defs, .tl-legend, .tl-foot"))
      .map((part) => [part, Object.fromEntries([...part.attributes].map((one) => [one.name, one.value]))]);
    for (const [id, factor] of [["#closer", 2], ["#wider", 0.5], ["#all", 0]]) {
      document.querySelector(id).addEventListener("click", () => this.spread(factor ? this.zoom * factor : 1));
    }
    const titles = this.svg.querySelectorAll(".tl-title, .tl-detail");
    const box = this.svg.parentElement;
    box.addEventListener("scroll", () => {
      const shift = box.scrollLeft * (this.svg.viewBox.baseVal.width / this.svg.clientWidth);
      for (const title of titles) title.setAttribute("transform", `translate(${shift})`); // lanes keep their names
    });
    this.tell();
  }

  prepare(bar, choose) {
    bar.classList.add("choice");
    bar.setAttribute("role", "button");
    bar.setAttribute("tabindex", "0");
    const said = bar.querySelector("title").textContent;
    const written = [...bar.querySelectorAll("text")].map((text) => text.textContent.trim()).join(" ");
    bar.setAttribute("aria-label", written ? `${written} · ${said}` : said);
    bar.addEventListener("click", choose);
    bar.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      choose();
    });
  }

  /** Mark the bars of a step. key: "" for none. */
  mark(key) {
    for (const bar of this.bars || []) bar.classList.toggle("chosen", bar.dataset.task === key);
  }

  /** Spread the time so many times as wide as it was drawn, around what is in the middle. */
  spread(zoom) {
    if (!this.svg) return;
    const box = this.svg.parentElement;
    const middle = (box.scrollLeft + box.clientWidth / 2) / box.scrollWidth;
    this.zoom = Math.max(1, Math.min(zoom, MOST_ZOOM));
    const place = (x) => (x < this.left ? x : this.left + (x - this.left) * this.zoom);
    for (const [part, drawn] of this.parts) {
      for (const name of ["x", "x1", "x2"]) {
        if (drawn[name] !== undefined) part.setAttribute(name, place(Number(drawn[name])));
      }
      if (drawn.width !== undefined && Number(drawn.x) >= this.left) {
        part.setAttribute("width", Number(drawn.width) * this.zoom);
      }
      if (drawn.d !== undefined) {
        part.setAttribute("d", drawn.d.replace(/([MLH])(-?[\d.]+)/g, (_, sign, x) => sign + place(Number(x))));
      }
    }
    const width = this.whole + this.plot * (this.zoom - 1);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${this.svg.viewBox.baseVal.height}`);
    this.svg.setAttribute("width", width);
    this.svg.classList.toggle("spread", this.zoom > 1);
    box.scrollLeft = middle * box.scrollWidth - box.clientWidth / 2;
    this.tell();
  }

  tell() {
    document.querySelector("#wider").disabled = document.querySelector("#all").disabled = this.zoom <= 1;
    document.querySelector("#closer").disabled = this.zoom >= MOST_ZOOM;
  }
}
