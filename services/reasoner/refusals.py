"""Requests that are refused before anything is asked."""

from collections import Counter
from collections.abc import Sequence

from dtwinseger import api
from dtwinseger.problems import Problem
from dtwinseger.prompts import one_line
from dtwinseger.twin import TwinRow

# As many as perception proposes at most. 1,000 take some 75,000 tokens to read and 80,000 to decide on in full, more
# than the context of the models that this is made for.
MAX_OBJECTS = 200


def require_query(query: str, which: str = "a query") -> None:
    """Raise Problem `invalid_query` for one that is empty, too long or no text. which: how the problem names it."""
    if not 1 <= len(one_line(query).strip()) <= api.MAX_QUERY_CHARACTERS:
        raise Problem(
            "invalid_query", f"{which} has 1 to {api.MAX_QUERY_CHARACTERS:,} characters, this one {len(query):,}"
        )
    if not _is_text(query):
        raise Problem("invalid_query", f"{which} must be text; this one holds half of a surrogate pair")


def require_twin(objects: Sequence[TwinRow]) -> None:
    """Raise Problem `invalid_options` for too many objects, two under one index, or one described by no text.

    Any indices will do, and gaps.
    """
    if len(objects) > MAX_OBJECTS:
        raise Problem(
            "invalid_options", f"objects: {len(objects):,} are too many to reason over; send at most {MAX_OBJECTS}"
        )
    for index, count in Counter(row.index for row in objects).items():
        if count > 1:
            raise Problem("invalid_options", f"objects: index {index} is given to {count} of them; give each its own")
    for row in objects:
        if not _is_text(f"{row.semantic}{row.spatial}"):
            raise Problem("invalid_options", f"objects: the text of object {row.index} holds half of a surrogate pair")


def _is_text(text: str) -> bool:
    """Whether `text` can be sent on: JSON can escape half of a surrogate pair, which UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
