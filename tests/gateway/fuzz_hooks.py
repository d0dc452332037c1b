"""What schemathesis loads: images that are images, so that valid requests get past the decoder."""

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.failures import Failure

from tests.gateway.conftest import png

schemathesis.openapi.media_type("image/png", st.sampled_from([png(), png(9, 70), png(1, 1)]))


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Drop what is no failure of the gateway's.

    No schema can say which bytes are an image; and the case that tries the parts' own media types has an empty query,
    though the schema wants a character.
    """
    if failure.code != "ST202":  # valid, and rejected
        return True
    emptied = isinstance(case.body, dict) and case.body.get("query") == ""
    return not emptied and response.json()["code"] != "invalid_image"
