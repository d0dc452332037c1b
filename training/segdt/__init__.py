"""Seg-DT (section 3.3): twins with queries, reasoning paths and answers, one JSON object a line."""

from training.segdt.reading import LineError, SegDTError, read
from training.segdt.schema import SegDTImage, SegDTProvenance, SegDTSample

__all__ = ["LineError", "SegDTError", "SegDTImage", "SegDTProvenance", "SegDTSample", "read"]
