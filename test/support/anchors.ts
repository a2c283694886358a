// Where a link or a citation can lead to in a Markdown file.

/** Explicit ones (`<a id="a8"></a>`), and those that GitHub makes of headings. */
export function anchorsOf(markdown: string): Set<string> {
  const text = markdown.replace(/^```[\s\S]*?^```/gm, "");
  const explicit = [...text.matchAll(/<a id="([^"]+)"><\/a>/g)].map(([, id]) => id ?? "");
  return new Set([...explicit, ...[...text.matchAll(/^#+ (.*)$/gm)].map(([, words]) => slugOf(words ?? ""))]);
}

/** Where the text links to in this repository: `[…](path#anchor)`, without addresses of the web. */
export function linksIn(markdown: string): { path: string; anchor: string | undefined }[] {
  return [...markdown.matchAll(/\]\((?!https?:)([^)]+)\)/g)].map(([, link]) => {
    const [path = "", anchor] = (link ?? "").split("#");
    return { path, anchor };
  });
}

function slugOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\w\- ]/g, "")
    .replaceAll(" ", "-");
}
