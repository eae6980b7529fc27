// The page of a run: what is chosen, which checkpoint is looked at, and the keys that change both.

class Page {
  constructor(data) {
    this.data = data;
    this.seq = null; // the checkpoint that is looked at; null: as the run stands now
    this.panel = new Panel(data, (seq) => this.go(seq));
    this.graph = new Graph(data, (slug) => this.chooseNode(slug));
    this.steps = new Steps(data, (number) => this.choose(number));
    const result = document.querySelector("#result:not(.failure)");
    if (result) result.textContent = readable(result.textContent, result.textContent.endsWith("…"));
    this.timeline = new TimelineView(data, (number) => this.choose(number, { quiet: true }));
    this.said = document.querySelector("#said");
    this.slider = document.querySelector("#slider");
    this.last = data.checkpoints.length ? data.checkpoints[data.checkpoints.length - 1].seq : 0;
    if (this.slider) this.prepareSlider();
    document.querySelector("#close").addEventListener("click", () => this.close());
    document.querySelector("#help-button").addEventListener("click", () => this.help());
    document.querySelector("#help button").addEventListener("click", () => document.querySelector("#help").close());
    document.addEventListener("keydown", (event) => this.key(event));
    window.addEventListener("hashchange", () => this.follow());
    if (this.slider) this.go(null, { silent: true });
    this.follow();
    document.documentElement.dataset.ready = "yes";
  }

  // --- choosing a step ---

  choose(number, { quiet = false } = {}) {
    this.chosen = number;
    const step = this.data.steps[number];
    this.panel.show(number);
    this.steps.mark(number, { show: !quiet });
    this.graph.mark(step.node || null);
    this.timeline.mark(step.key);
    this.say(`${step.name}, ${this.data.words[step.status]}`);
  }

  /** Choose the first step of a node, or the next one when one of them is chosen already. */
  chooseNode(slug) {
    const own = [];
    this.data.steps.forEach((step, number) => {
      if (step.node === slug && (this.seq === null || standing(step, this.seq))) own.push(number);
    });
    if (!own.length) return;
    this.choose(own[(own.indexOf(this.chosen) + 1) % own.length], { quiet: true });
  }

  close() {
    this.panel.close();
    this.graph.mark(null);
    this.steps.mark(-1);
    this.timeline.mark("");
    this.chosen = undefined;
  }

  // --- going to a checkpoint ---

  prepareSlider() {
    this.slider.addEventListener("input", () => this.go(Number(this.slider.value)));
    document.querySelector("#back").addEventListener("click", () => this.move(-1));
    document.querySelector("#forth").addEventListener("click", () => this.move(1));
    document.querySelector("#now").addEventListener("click", () => this.go(null));
  }

  move(by) {
    const at = this.seq === null ? this.last : this.seq;
    this.go(Math.max(1, Math.min(at + by, this.last)));
  }

  /** Let picture and state follow a checkpoint; null: show the run as it stands now. */
  go(seq, { silent = false } = {}) {
    this.seq = seq;
    const at = seq === null ? this.last : seq;
    const one = this.data.checkpoints[at - 1];
    const about = `${one.did}${one.node ? ` ${one.node}` : ""}`;
    this.slider.value = String(at);
    this.slider.setAttribute("aria-valuetext", `checkpoint ${at} of ${this.last}, ${about}`);
    document.querySelector("#where").textContent = `Checkpoint ${grouped(at)} of ${grouped(this.last)}`;
    document.querySelector("#what").textContent = `${about} · ${one.at}`;
    document.querySelector("#now").disabled = seq === null;
    document.querySelector("#back").disabled = at <= 1;
    document.querySelector("#forth").disabled = at >= this.last;
    document.body.classList.toggle("looking-back", seq !== null);
    this.graph.show(seq);
    this.showState(one);
    if (silent) return;
    history.replaceState(null, "", location.href.split("#")[0] + (seq === null ? "" : `#step=${seq}`));
    if (one.task !== undefined && seq !== null) {
      if (this.panel.hasRoom()) this.choose(one.task, { quiet: true });
      else this.graph.mark(this.data.steps[one.task].node || null);
    }
    this.say(`Checkpoint ${at}, ${about}`);
  }

  showState(one) {
    const place = document.querySelector("#state-body");
    if (!place) return;
    document.querySelector("#state-at").textContent = `after checkpoint ${grouped(one.seq)}`;
    const diff = element("div", {}, element("h3", {}, "What it changed"));
    diff.append(one.changes ? changes(one.changes, one.more) : element("p", { class: "note" }, "Nothing."));
    const whole = element("div", {}, element("h3", {}, "The state"));
    if (one.seq > this.data.known) {
      whole.append(element("p", { class: "note" }, `There is too much of it for one page: it is here up to checkpoint ${grouped(this.data.known)}. milepost show RUN --at ${one.seq} shows it.`));
    } else {
      whole.append(this.fields(one));
    }
    place.replaceChildren(diff, whole);
  }

  fields(one) {
    const { fields, changed } = stateAt(this.data, one.seq);
    const list = element("dl", { class: "fields" });
    for (const [name, text] of fields) {
      const size = one.seq === this.last ? this.data.sizes[name] : undefined;
      const note = size ? element("p", { class: "note" }, `The beginning of ${grouped(size)} characters.`) : null;
      list.append(element("div", { class: changed.has(name) ? "changed" : null },
        element("dt", {}, visible(name || "state"), changed.has(name) ? element("span", { class: "unseen" }, " (changed)") : null),
        element("dd", {}, element("pre", { dir: "auto" }, visible(indented(text))), note)));
    }
    return fields.size ? list : element("p", { class: "note" }, "None yet.");
  }

  // --- addresses, keys and words ---

  /** Follow the address: #step=7 is a checkpoint, #task=KEY a step. */
  follow() {
    const [name, value] = location.hash.slice(1).split("=");
    const seq = Number(value);
    if (name === "step" && this.slider && Number.isInteger(seq) && seq >= 1 && seq <= this.last) this.go(seq);
    const number = name === "task" ? this.data.steps.findIndex((step) => step.key === value) : -1;
    if (number >= 0) this.choose(number);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return this.close();
    if (event.target.closest("input[type=search], textarea, select")) return;
    const acts = {
      j: () => this.walk(1),
      k: () => this.walk(-1),
      "[": () => this.slider && this.move(-1),
      "]": () => this.slider && this.move(1),
      g: () => this.visit("graph"),
      t: () => this.visit("timeline"),
      s: () => this.visit("state"),
      l: () => this.visit("steps"),
      "+": () => this.timeline.spread(this.timeline.zoom * 2),
      "-": () => this.timeline.spread(this.timeline.zoom / 2),
      "/": () => document.querySelector("#find").focus(),
      "?": () => this.help(),
    };
    const act = acts[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  }

  walk(by) {
    const number = this.steps.next(by);
    if (number !== null) this.choose(number);
  }

  visit(id) {
    const part = document.getElementById(id);
    if (!part) return this.say(`This page has no ${id}.`);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    part.scrollIntoView({ behavior: calm ? "auto" : "smooth", block: "start" });
    part.querySelector("h2").focus({ preventScroll: true });
  }

  help() {
    document.querySelector("#help").showModal();
  }

  say(words) {
    this.said.textContent = words;
  }
}

new Page(JSON.parse(document.getElementById("data").textContent));
