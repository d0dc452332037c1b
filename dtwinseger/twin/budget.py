"""A twin cut to what an LLM can read: relations go first, then the smallest objects."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from math import ceil, dist, inf

from dtwinseger.twin.mask import BBox
from dtwinseger.twin.model import TwinRow
from dtwinseger.twin.text import told_relations

Count = Callable[[str], int]
Render = Callable[[Sequence[TwinRow]], str]

BYTES_A_TOKEN = 2


def fit(
    objects: Sequence[TwinRow], budget: int, count: Count, render: Render
) -> tuple[tuple[TwinRow, ...], tuple[str, ...]]:
    """The rows that fit into `budget` tokens, in the order of `objects`, and warnings that say what was left out.

    Of each object the relation told last goes before the others; of those equally late, the one to the furthest target
    first. An object without relations keeps its place. Where that is not enough, the smallest objects go, with all
    relations. `count` gives the tokens of a text that `render` made; it is asked some 2 + log2(relations or objects)
    times. The rows are empty where not even the largest object fits: that is no twin without objects.
    """
    tokens = count(render(objects))
    if tokens <= budget or not objects:
        return tuple(objects), ()
    why = f"left out of the reasoning: the twin has {tokens:,} tokens, the budget is {budget:,}"
    relations = _relations(objects)

    def fits(rows: Sequence[TwinRow]) -> bool:
        return count(render(rows)) <= budget

    def with_relations(dropped: int) -> tuple[TwinRow, ...]:
        return _cut(objects, relations[:dropped])

    bare = with_relations(len(relations))
    if relations and fits(bare):
        dropped = _fewest(len(relations), lambda dropped: fits(with_relations(dropped)))
        return with_relations(dropped), (f"{_some(dropped, len(relations), 'relation', 'furthest')} {why}",)
    by_size = sorted(range(len(bare)), key=lambda at: (bare[at].area_percent, -bare[at].index))

    def with_objects(dropped: int) -> tuple[TwinRow, ...]:
        return tuple(bare[at] for at in sorted(by_size[dropped:]))

    dropped = _fewest(len(bare), lambda dropped: fits(with_objects(dropped)))
    left_out = [_some(len(relations), len(relations), "relation", "furthest")] if relations else []
    left_out.append(_some(dropped, len(bare), "object", "smallest"))
    return with_objects(dropped), tuple(f"{what} {why}" for what in left_out)


def estimated_tokens(text: str) -> int:
    """Tokens of a rendered twin where its tokenizer is not at hand: its UTF-8 bytes / 2, an estimate meant to err high.

    English prose has 4 to 5 characters a token, but a twin is half numbers and punctuation. Cut into words, marks and
    numbers as Llama 3 and GPT-4 (three digits a piece) or Qwen2.5 (one) do before they merge, which gives no more
    pieces than tokens, twins of 10 to 200 objects have 3.1 to 3.4 or 2.7 to 3.0 characters a piece as JSON, 2.7 to 3.2
    or 2.2 to 2.7 as rows. dtwin-mini-llm has 4 to 7 a token for what it was taught, but down to 1.8 for other words:
    count with its tokenizer.
    """
    return ceil(len(text.encode()) / BYTES_A_TOKEN)


def _relations(objects: Sequence[TwinRow]) -> list[tuple[int, int]]:
    """Where each told relation stands, (position of the row, where its text begins), in the order in which they go."""
    centers = {row.index: _center(row.bbox) for row in objects}
    found = []
    for at, row in enumerate(objects):
        for rank, (begin, target) in enumerate(told_relations(row.spatial)):
            distance = dist(centers[row.index], centers[target]) if target in centers else inf
            found.append((-rank, -distance, -row.index, at, begin))
    return [(at, begin) for *_, at, begin in sorted(found)]


def _center(box: BBox) -> tuple[float, float]:
    x1, y1, x2, y2 = box
    return (x1 + x2) / 2, (y1 + y2) / 2


def _cut(objects: Sequence[TwinRow], relations: Sequence[tuple[int, int]]) -> tuple[TwinRow, ...]:
    """The rows without those relations, where the relations behind one of them are among them too."""
    ends = dict(relations)  # of each row the last one to go is the first one told
    return tuple(
        row.model_copy(update={"spatial": row.spatial[: ends[at]]}) if at in ends else row
        for at, row in enumerate(objects)
    )


def _fewest(most: int, enough: Callable[[int], bool]) -> int:
    """The fewest of 1..`most` that are enough, by bisection; `most` is taken for enough."""
    return bisect_left(range(most), True, lo=1, key=enough)


def _some(part: int, total: int, noun: str, which: str) -> str:
    """ "12 of 80 objects, the smallest, were"."""
    if part < total:
        return f"{part:,} of {total:,} {noun}s, the {which}, {'was' if part == 1 else 'were'}"
    return f"the only {noun} was" if total == 1 else f"all {total:,} {noun}s were"
