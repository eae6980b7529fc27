// Payloads and changes, shown as text: nothing of what a run stored is ever read as markup or carried out.

const UNSEEN =
  /[\ud800-\udbff][\udc00-\udfff]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]/g;
const PAIR = /[\ud800-\udbff][\udc00-\udfff]/;

/** Make an element. parts: texts and elements that are put into it. */
function element(name, options, ...parts) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options || {})) {
    if (value !== undefined && value !== null) made.setAttribute(key, value);
  }
  made.append(...parts.filter((part) => part !== null && part !== undefined));
  return made;
}

/** Write characters that nobody sees, or that turn the direction of a text, as JSON would escape them. */
function visible(text) {
  return text.replace(UNSEEN, (one) => (one.length > 1 ? one : "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0")));
}

/** Indent JSON text without reading its values: numbers keep every digit, and a text that was cut is no problem. */
function indented(text) {
  let out = "";
  let depth = 0;
  const parts = text.match(/"(?:[^"\\]|\\[\s\S])*"?|[{}[\],:]|[^"{}[\],:\s]+/g) || [];
  parts.forEach((part, place) => {
    const next = parts[place + 1];
    if (part === "{" || part === "[") {
      const closes = next === "}" || next === "]";
      depth += 1;
      out += part + (closes || next === undefined ? "" : "\n" + "  ".repeat(depth));
    } else if (part === "}" || part === "]") {
      depth -= 1;
      const opened = parts[place - 1] === "{" || parts[place - 1] === "[";
      out += (opened ? "" : "\n" + "  ".repeat(Math.max(depth, 0))) + part;
    } else if (part === ",") {
      out += ",\n" + "  ".repeat(depth);
    } else {
      out += part === ":" ? ": " : part;
    }
  });
  return out;
}

/** Return what a payload says: a JSON string as the text that it is, anything else indented. */
function readable(text, isCut) {
  if (text.startsWith('"')) {
    const closed = isCut ? text.replace(/\\(?:u[0-9a-fA-F]{0,3})?$/, "") + '"' : text;
    try {
      return visible(JSON.parse(closed));
    } catch {
      return visible(text);
    }
  }
  return visible(indented(text));
}

/** Show a payload. excerpt: its beginning, and the length of the whole. read: how it is put into readable text. */
function payload(title, excerpt, read = readable) {
  const [text, size] = excerpt;
  const isCut = text.length < size && [...text].length < size;
  const block = element("div", { class: "payload" },
    element("h4", {}, title, element("small", {}, amount(size))),
    element("pre", { dir: "auto" }, read(text, isCut) + (isCut ? "…" : "")));
  if (isCut) block.append(element("p", { class: "note" }, `The first ${grouped([...text].length)} characters.`));
  return block;
}

/** Write a number with its thousands apart. */
function grouped(number) {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ",");
}

function amount(size) {
  return size > 80 ? `${grouped(size)} characters` : "";
}

/** Show what changed of the state, each part as it was and as it is. */
function changes(list, more) {
  const block = element("div", { class: "changes" });
  for (const change of list) {
    const before = change.before && change.before[0];
    const after = change.after && change.after[0];
    block.append(element("p", { class: "path" }, visible(change.path || "the whole state")));
    const [first, last] = alike(before || "", after || "");
    const most = Math.max((before || "").length, (after || "").length);
    const marked = change.before && change.after && first + last >= most / 3;
    if (change.before) block.append(side("before", "−", change.before, first, last, marked));
    if (change.after) block.append(side("after", "+", change.after, first, last, marked));
    if (change.text) block.append(element("p", { class: "note" }, "Too large to be told part by part: this is what stands around the change."));
  }
  if (more) block.append(element("p", { class: "note" }, `And ${grouped(more)} more changes.`));
  return block;
}

/** One side of a change. first, last: how many characters are alike at either end; marked: show what is not. */
function side(kind, sign, excerpt, first, last, marked) {
  const [text, size] = excerpt;
  const end = Math.max(first, text.length - last);
  const isCut = [...text].length < size;
  return element("p", { class: kind },
    element("span", { class: "sign" }, element("span", { "aria-hidden": "true" }, sign), element("span", { class: "unseen" }, `${kind}: `)),
    element("code", { dir: "auto" }, ...(marked ? [
      visible(text.slice(0, first)),
      element(kind === "before" ? "del" : "ins", {}, visible(text.slice(first, end))),
      visible(text.slice(end)),
    ] : [visible(text)]), isCut ? "…" : ""));
}

/** Return how many characters two texts begin and end with alike; no half of a pair is torn off. */
function alike(one, other) {
  const most = Math.min(one.length, other.length);
  let first = 0;
  while (first < most && one[first] === other[first]) first += 1;
  if (first && /[\ud800-\udbff]/.test(one[first - 1])) first -= 1;
  let last = 0;
  while (last < most - first && one[one.length - 1 - last] === other[other.length - 1 - last]) last += 1;
  if (last && /[\udc00-\udfff]/.test(one[one.length - last])) last -= 1;
  return [first, last];
}

/** Return a text after a splice, whose place is counted in characters. */
function spliced(text, [start, length, put]) {
  if (!PAIR.test(text)) return text.slice(0, start) + put + text.slice(start + length);
  const signs = [...text];
  return signs.slice(0, start).join("") + put + signs.slice(start + length).join("");
}
