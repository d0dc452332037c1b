"""What a scripted engine says to whatever semantics and the reasoner ask."""

import re

from tests.doubles.openai_server import Body
from tests.services.reasoner.conversation import decided
from tests.services.semantics.conversation import describes_all


def answers(body: Body) -> str:
    """Granularity, descriptions and a path that keeps object 1, by what is asked."""
    asked = str(body["messages"][1])
    if indices := re.findall(r'"index": ?(\d+)', asked):
        return decided({1}, rows=[int(index) for index in indices])
    if "granularity" not in str(body["messages"][0]):
        return describes_all(body)
    return '{"granularity": "object", "reason": "one is asked for"}'
