"""A small, valid sample that tests spoil."""

import json
from typing import Any

SHA256 = "0" * 64

GOLDEN = (
    '{"id":"golden-1","schema":1,"granularity":"object",'
    f'"image":{{"width":64,"height":48,"sha256":"{SHA256}","file":"golden.png"}},'
    '"query":"something to drink from, not the blue one",'
    '"dt0":[{"index":1,"semantic":"a brown desk","bbox":[0,20,64,48],"area_percent":50.0,"spatial":"at the bottom"},'
    '{"index":2,"semantic":"a red mug","bbox":[10,10,20,20],"area_percent":3.3,'
    '"spatial":"at the left; above 1 (desk)"},'
    '{"index":3,"semantic":null,"bbox":[40,10,50,20],"area_percent":3.2,'
    '"spatial":"at the right; right of 2 (mug), above 1 (desk)"}],'
    '"path":[{"step":1,"criterion":"is something to drink from","decisions":['
    '{"index":1,"reasoning":"a desk","keep":false,"semantic":null},'
    '{"index":2,"reasoning":"a mug","keep":true,"semantic":"a red mug, holds a drink"},'
    '{"index":3,"reasoning":"not described","keep":false,"semantic":null}],"otherwise":null}],'
    '"indices":[2],"provenance":{"annotator":"world","split":"train","generator":"scenes:affordance"}}'
)


def spoilt(*changes: tuple[str, Any], identity: str = "golden-1") -> str:
    """The golden line with values changed, each by its place: "dt0.1.bbox". `...` takes the key away."""
    sample = json.loads(GOLDEN) | {"id": identity}
    for place, value in changes:
        *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
        at = sample
        for part in way:
            at = at[part]
        if value is ...:
            del at[last]
        else:
            at[last] = value
    return json.dumps(sample, ensure_ascii=False, separators=(",", ":"))
