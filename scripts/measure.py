"""Measures comments or job summaries as a phone shows them, with Chromium. `make measure` measures every comment.

Exits with status 1 if a comment is too long, but for those of `UNLIMITED`. The arguments are the names of states.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts import gallery, golden
from scripts.picture import WIDTHS, Browser

UNLIMITED = ("hostile", "most-gates", "gates-registered", "gates-waiting", "traces-old")  # long names or many gates
MOST_LINES = 12
LOWEST_FAILURE = 200  # CSS pixels from the top of the picture, which has the comment's frame, to the first failure
COLUMNS = ("words", "lines", "head", "px", "failure", "wider")
HELP = """words, lines: what is visible, without collapsed sections
head: the lines above the first table, block, collapsed section, or second heading
px: the height of the picture, with the comment's frame
failure: where the first item of a list begins in the picture
wider: by how many pixels a table, a block, or the text is wider than its place"""

# A line is a box of text below the line before it; cells side by side are one line. A tenth of a box may overlap, as it
# does in a heading of several lines.
FIGURES = r"""part => {
  const shown = node => node.localName === "svg" ? [] : [node, ...[...node.childNodes].filter(
    child => !node.matches?.("details:not([open])") || child.localName === "summary").flatMap(shown)];
  const article = part.querySelector("article"), nodes = shown(article), start = part.getBoundingClientRect().top;
  const [texts, elements] = [Text, Element].map(type => nodes.filter(node => node instanceof type));
  const boxes = texts.flatMap(text => {
    const range = document.createRange();
    range.selectNode(text);
    return [...range.getClientRects()].filter(box => box.width);
  }).map(box => ({ top: box.top + box.height / 10, bottom: box.bottom - box.height / 10 }));
  boxes.sort((one, other) => one.bottom - other.bottom);
  const lines = end => {
    let count = 0, last = -Infinity;
    for (const { top, bottom } of boxes)
      if (top >= last && bottom <= end) [count, last] = [count + 1, bottom];
    return count;
  };
  const first = selector => elements.find(element => element.matches(selector))?.getBoundingClientRect().top;
  const item = first("li");
  return {
    words: texts.map(text => text.data).join("").match(/\S*[\p{L}\p{N}]\S*/gu)?.length ?? 0,
    lines: lines(Infinity),
    head: lines(first("article > :is(h1, h2, h3, h4, h5, h6, table, pre, details):not(:first-child)") ?? Infinity),
    px: Math.ceil(part.getBoundingClientRect().height),
    failure: item && Math.round(item - start),
    wider: Math.max(...[part, article.parentElement, ...elements].map(element =>
      getComputedStyle(element).overflowX === "visible" ? 0 : element.scrollWidth - element.clientWidth)),
  };
}"""


def missed(figures: dict[str, int]) -> list[str]:
    """Return the limits that a comment with these figures misses."""
    found = []
    if figures["lines"] > MOST_LINES:
        found.append(f"{figures['lines']} lines, {MOST_LINES} allowed")
    if figures.get("failure", 0) > LOWEST_FAILURE:
        found.append(f"the first failure begins at {figures['failure']} px, {LOWEST_FAILURE} allowed")
    if figures["wider"] > 0:
        found.append(f"{figures['wider']} px wider than the screen")
    return found


def main() -> None:
    """Print a table of the states' figures, and the limits that are missed."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, epilog=HELP, formatter_class=raw)
    parser.add_argument("states", nargs="*", help="names of states, such as fail-new (default: all)")
    parser.add_argument("--summary", action="store_true", help="measure job summaries, which have no limits")
    parser.add_argument("--golden", type=Path, default=golden.GOLDEN, help="a folder with the states' files")
    arguments = parser.parse_args()
    kind, show = ("summary", gallery.article) if arguments.summary else ("comment", gallery.comment)
    files = {path.name.partition(".")[0]: path for path in sorted(arguments.golden.glob(f"*.{kind}.md"))}
    states: list[str] = arguments.states or list(files)
    if unknown := [state for state in states if state not in files]:
        parser.error(f"no {kind} of {', '.join(unknown)} in {arguments.golden}")
    bodies = [show(files[state].read_text(encoding="utf-8")) for state in states]
    measured = dict(zip(states, Browser(WIDTHS[0], "light").measure(bodies, FIGURES), strict=True))
    print(f"{kind:26}", *(f"{column:>8}" for column in COLUMNS))
    for state, figures in measured.items():
        print(f"{state:26}", *(f"{figures.get(column, '-'):>8}" for column in COLUMNS))
    limited = measured.keys() - set(UNLIMITED) if kind == "comment" else set()
    problems = [f"{state}: {problem}" for state in sorted(limited) for problem in missed(measured[state])]
    if problems:
        raise SystemExit("\n".join(["", "Limits that are missed:", *problems]))


if __name__ == "__main__":
    main()
