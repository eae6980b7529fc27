// The panel that tells all about one step.

class Panel {
  /** go: called with the number of a checkpoint to go to. */
  constructor(data, go) {
    this.data = data;
    this.go = go;
    this.root = document.querySelector("#panel");
    this.body = document.querySelector("#about");
    this.hint = this.body.firstElementChild;
    this.of = new Map();
    data.checkpoints.forEach((one) => {
      if (one.task === undefined) return;
      if (!this.of.has(one.task)) this.of.set(one.task, []);
      this.of.get(one.task).push(one);
    });
  }

  /** Whether it covers nothing, or is open anyway. */
  hasRoom() {
    return this.root.classList.contains("open") || getComputedStyle(this.root).position === "sticky";
  }

  close() {
    this.root.classList.remove("open");
    this.body.replaceChildren(this.hint);
  }

  /** Tell all about a step. */
  show(number) {
    const { data } = this;
    const step = data.steps[number];
    const own = this.of.get(number) || [];
    const facts = element("dl", {});
    const fact = (name, ...value) => facts.append(element("div", {}, element("dt", {}, name), element("dd", {}, ...value)));
    for (const [name, text] of step.facts || []) fact(name, text);
    if (own.length) fact(own.length > 1 ? "Checkpoints" : "Checkpoint", ...this.links(own));
    const parts = [
      element("h3", {}, step.name),
      element("p", { class: `chip ${step.status}` }, `${data.glyphs[step.status]} ${data.words[step.status]}`),
      facts,
    ];
    if (step.error) parts.push(this.error(step.error));
    for (const one of own) if (one.traceback) parts.push(payload("Traceback", one.traceback, visible));
    if (step.tries) parts.push(this.tries(step.tries));
    if (step.wait) parts.push(this.wait(step.wait));
    if (step.input) parts.push(payload("Input", step.input));
    parts.push(...this.given(own));
    for (const one of own) {
      if (!one.changes) continue;
      parts.push(element("h4", {}, "State changes", element("small", {}, own.length > 1 ? `checkpoint ${one.seq}` : "")));
      parts.push(changes(one.changes, one.more));
    }
    if (!data.checkpoints.length) parts.push(element("p", { class: "note" }, "This page was made of a trace alone, so it has no inputs, outputs and states."));
    const inside = step.node && data.nodes[step.node] && data.nodes[step.node].inside;
    if (step.child) parts.push(this.inside(step.child, inside));
    this.body.replaceChildren(...parts);
    this.root.classList.add("open");
    this.root.scrollTop = 0;
  }

  links(own) {
    return own.slice(0, 12).map((one) => {
      const button = element("button", { type: "button", class: "link" }, String(one.seq));
      button.setAttribute("aria-label", `Go to checkpoint ${one.seq}`);
      button.addEventListener("click", () => this.go(one.seq));
      return button;
    });
  }

  error(excerpt) {
    const block = payload("Error", excerpt, visible);
    block.classList.add("failure");
    return block;
  }

  /** What a step has given: one output, or the items of a stream. */
  given(own) {
    const gave = own.filter((one) => one.stored);
    const items = gave.filter((one) => one.did === "emitted");
    if (!items.length) return gave.map((one) => payload("Output", one.stored));
    const shown = items.slice(0, 20).map((one, place) => payload(`Item ${place + 1}`, one.stored));
    if (items.length > shown.length) shown.push(element("p", { class: "note" }, `The first 20 of ${grouped(items.length)} items.`));
    return shown;
  }

  tries(tries) {
    const list = element("ol", { class: "tries" });
    for (const [started, took, error] of tries) {
      list.append(element("li", {}, element("span", { class: "muted" }, `${started} · ${took}`), error ? element("span", { class: "why" }, error) : element("span", {}, "done")));
    }
    return element("div", { class: "payload" }, element("h4", {}, "Attempts"), list);
  }

  wait(wait) {
    const block = element("div", { class: "payload" }, element("h4", {}, wait.title));
    if (wait.text) block.append(element("pre", { dir: "auto" }, visible(wait.text)));
    const facts = element("dl", {});
    for (const [name, text] of wait.facts) facts.append(element("div", {}, element("dt", {}, name), element("dd", {}, text)));
    block.append(facts);
    if (wait.answer) block.append(payload("Answer", wait.answer));
    return block;
  }

  inside(child, part) {
    const block = element("p", { class: "note" }, `It drove run ${child}. `);
    if (!part) return block;
    const link = element("a", { href: `#${part}` }, "What it did");
    link.addEventListener("click", () => {
      for (let around = document.getElementById(part); around; around = around.parentElement) {
        if (around.localName === "details") around.open = true;
      }
    });
    block.append(link);
    return block;
  }
}
