// What was the case at a checkpoint: how each step and node stood, which arrows had been taken, and the state.

const WORST = ["failed", "waiting", "running", "pending", "caught"];

/** Return how a step stood after a checkpoint, null before it began to exist. */
function standing(step, seq) {
  let status = null;
  for (const [from, mark] of step.marks || []) {
    if (from > seq) break;
    status = mark;
  }
  return status;
}

/** Return how every node stood after a checkpoint, with how many steps it had, and how often each arrow was taken. */
function moment(data, seq) {
  const taken = data.edges.map(() => 0);
  for (const one of data.checkpoints) {
    if (one.seq > seq) break;
    for (const [edge, times] of Object.entries(one.passed || {})) taken[Number(edge)] += times;
  }
  const nodes = {};
  for (const slug of Object.keys(data.nodes)) nodes[slug] = { counts: {}, steps: 0, passed: false, left: false };
  for (const step of data.steps) {
    const status = nodes[step.node] && standing(step, seq);
    if (!status) continue;
    nodes[step.node].steps += 1;
    nodes[step.node].counts[status] = (nodes[step.node].counts[status] || 0) + 1;
  }
  data.edges.forEach((edge, place) => {
    if (!edge || !taken[place]) return;
    if (nodes[edge.to]) nodes[edge.to].passed = true;
    if (nodes[edge.from]) nodes[edge.from].left = true;
    if (nodes[edge.from] && data.nodes[edge.from].kind === "start") nodes[edge.from].passed = true;
  });
  for (const [slug, node] of Object.entries(nodes)) {
    const gathers = data.nodes[slug].kind === "join" && node.passed && !node.left;
    node.status = gathers ? "pending" : worst(node);
  }
  return { nodes, taken };
}

function worst(node) {
  const found = WORST.find((status) => node.counts[status]);
  if (found) return found;
  if (node.counts.retried) return "retried";
  if (node.counts.done) return "done";
  if (node.counts.cancelled) return "cancelled";
  return node.passed ? "done" : "unreached";
}

/** Return the fields of the state after a checkpoint, each as JSON text, and which of them that checkpoint changed. */
function stateAt(data, seq) {
  const fields = new Map();
  let changed = new Set();
  for (const one of data.checkpoints) {
    if (one.seq > seq) break;
    changed = new Set(Object.keys(one.patch || {}));
    for (const [name, change] of Object.entries(one.patch || {})) {
      if (change === null) fields.delete(name);
      else fields.set(name, spliced(fields.get(name) || "", change));
    }
  }
  return { fields, changed };
}
