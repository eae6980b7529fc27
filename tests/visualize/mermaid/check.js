// Reads Mermaid texts from stdin, each a JSON string on a line; answers each with a line: what Mermaid understood, or why not.
import { createInterface } from "node:readline";
import { JSDOM } from "jsdom";

const page = new JSDOM("<!doctype html><body></body>", { pretendToBeVisual: true });
globalThis.window = page.window;
globalThis.document = page.window.document;
const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, securityLevel: "strict", suppressErrorRendering: true });

const decode = (text) => {
  const marked = text.replace(/ﬂ°°/g, "&#").replace(/ﬂ°/g, "&").replace(/¶ß/g, ";");
  const element = document.createElement("div");
  element.innerHTML = marked.replace(/<br\s*\/?>/g, "\n");
  return element.textContent;
};

const graph = ({ db }) => ({
  type: "gitGraph",
  title: db.getDiagramTitle(),
  branches: db.getBranchesAsObjArray().map((branch) => decode(branch.name)),
  commits: [...db.getCommits().values()].map((commit) => ({
    id: decode(commit.id), branch: decode(commit.branch), parents: commit.parents.map(decode), tags: commit.tags.map(decode), type: commit.type,
  })),
});

const understand = async (text) => {
  if (text.length > 50000) return { error: "Maximum text size in diagram exceeded" };
  try {
    await mermaid.parse(text);
    const diagram = await mermaid.mermaidAPI.getDiagramFromText(text);
    if (diagram.type === "gantt") {
      const tasks = diagram.db.getTasks();
      return {
        type: diagram.type,
        title: diagram.db.getDiagramTitle(),
        sections: diagram.db.getSections().map(decode),
        bars: tasks.map((bar) => ({
          section: decode(bar.section),
          text: decode(bar.task).trimEnd(),
          start: bar.startTime.getTime(),
          stop: bar.endTime.getTime(),
          critical: Boolean(bar.crit),
          milestone: Boolean(bar.milestone),
        })),
      };
    }
    if (diagram.type === "gitGraph") return graph(diagram);
    const vertices = [...diagram.db.getVertices().values()];
    return {
      type: diagram.type,
      title: diagram.db.getDiagramTitle(),
      nodes: vertices.map((node) => ({ id: node.id, text: decode(node.text ?? ""), classes: node.classes })),
      clusters: diagram.db.getSubGraphs().map((cluster) => ({ id: cluster.id, members: cluster.nodes })),
      edges: diagram.db.getEdges().map((edge) => ({ source: edge.start, target: edge.end, text: decode(edge.text ?? "") })),
    };
  } catch (fault) {
    return { error: String(fault?.message ?? fault) };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await understand(JSON.parse(line))) + "\n");
}
