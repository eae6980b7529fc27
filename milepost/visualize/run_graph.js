// The picture of the run: its nodes can be chosen, and it shows how everything stood at a checkpoint.

const SVG = "http://www.w3.org/2000/svg";

class Graph {
  /** choose: called with the slug of a node that somebody has chosen. */
  constructor(data, choose) {
    this.data = data;
    this.svg = document.querySelector("#graph svg");
    this.nodes = new Map();
    if (!this.svg) return;
    this.svg.setAttribute("role", "group");
    const known = new Set(data.steps.map((step) => step.node));
    for (const group of this.svg.querySelectorAll("g.node")) {
      if (data.nodes[group.id]) this.prepare(group, known.has(group.id) ? choose : null);
    }
    this.fit();
    this.edges = data.edges.map((edge, place) => edge && this.svg.querySelector(`#e_${place}`));
  }

  /** Let a picture that is not too tall be seen as a whole, and offer the other size. */
  fit() {
    const section = document.querySelector("#graph");
    const button = document.querySelector("#size");
    const height = this.svg.getBoundingClientRect().height;
    const room = window.innerHeight - 176;
    button.hidden = height <= room;
    const tell = (fits) => {
      section.classList.toggle("fits", fits);
      button.textContent = fits ? "Full size" : "Fit";
    };
    button.addEventListener("click", () => tell(!section.classList.contains("fits")));
    tell(height <= room / 0.6);
  }

  /** Make a node one that can be chosen, with room for what it says at a checkpoint. */
  prepare(group, choose) {
    const slug = group.id;
    this.nodes.set(slug, group);
    if (choose) {
      const link = group.querySelector("a");
      const button = link || group;
      if (link) link.removeAttribute("href");
      button.setAttribute("role", "button");
      button.setAttribute("tabindex", "0");
      group.button = button;
      group.classList.add("choice");
      group.addEventListener("click", (event) => { event.preventDefault(); choose(slug); });
      group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        choose(slug);
      });
    }
    const shape = group.querySelector("polygon, path, ellipse");
    const inner = shape.parentNode;
    let isLabel = false;
    for (const part of inner.children) {
      isLabel = isLabel || part.localName === "text";
      part.classList.add(isLabel ? "label" : "shape");
    }
    const box = shape.getBBox();
    const lines = [-3, 12].map((shift, row) => {
      const line = document.createElementNS(SVG, "text");
      line.setAttribute("class", row ? "then less" : "then");
      line.setAttribute("text-anchor", "middle");
      line.setAttribute("x", box.x + box.width / 2);
      line.setAttribute("y", box.y + box.height / 2 + shift);
      inner.append(line, "\n");
      return line;
    });
    group.lines = lines;
    this.name(group, ".label");
  }

  /** Call a node, for readers who do not see it, what is written in it. */
  name(group, lines) {
    if (!group.button) return;
    const texts = [...group.querySelectorAll(`text${lines}`)].map((text) => text.textContent.trim());
    group.button.setAttribute("aria-label", texts.filter(Boolean).join(" "));
  }

  /** Mark the node that a chosen step belongs to. slug: null for none. */
  mark(slug) {
    for (const [id, group] of this.nodes) group.classList.toggle("chosen", id === slug);
  }

  /** Show how everything stood after a checkpoint; null: as the run stands now. */
  show(seq) {
    if (!this.nodes.size) return; // the picture shows every step by itself, each when it came
    this.svg.classList.toggle("past", seq !== null);
    if (seq === null) {
      for (const group of this.nodes.values()) this.name(group, ".label");
      return;
    }
    const { nodes, taken } = moment(this.data, seq);
    for (const [slug, group] of this.nodes) {
      const then = nodes[slug];
      const about = this.data.nodes[slug];
      const isEnd = about.kind === "start" || about.kind === "end";
      group.dataset.then = then.status;
      const [title, less] = group.lines;
      const times = then.steps > 1 ? ` × ${then.steps}` : "";
      title.textContent = isEnd ? about.title : `${this.data.glyphs[then.status]} ${about.title}${times}`;
      less.textContent = isEnd || about.kind === "join" ? "" : this.told(then);
      const alone = less.textContent === "";
      title.setAttribute("dy", alone ? "7" : "0");
      this.name(group, ".then");
    }
    this.edges.forEach((edge, place) => {
      if (!edge) return;
      edge.dataset.then = taken[place] ? "taken" : "untaken";
      [...edge.querySelectorAll("text")].forEach((text, row) => {
        text.classList.toggle("later", row >= this.data.edges[place].lines);
      });
    });
  }

  told(then) {
    const done = (then.counts.done || 0) + (then.counts.retried || 0);
    if (then.steps > 1 && done < then.steps) return `${done} of ${then.steps} done`;
    return this.data.words[then.status];
  }
}
