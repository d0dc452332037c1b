"""The options of a run, from a YAML or a JSON file: those of `POST /segment`."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from dtwinseger.api import SegmentOptions
from dtwinseger.evaluation.runs.record import RunError
from dtwinseger.problems import in_words


def read_options(path: Path | None) -> dict[str, Any]:
    """The options as given; none for no file. Raises RunError where they are none, masks but RLE included."""
    if path is None:
        return {}
    try:
        import yaml  # JSON is YAML too
    except ModuleNotFoundError as error:
        raise RunError("options are read with PyYAML: pip install 'dtwinseger[eval]'") from error
    try:
        given = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise RunError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise RunError(f"{path}: neither YAML nor JSON: {' '.join(str(error).split())}") from error
    given = {} if given is None else given
    try:
        options = SegmentOptions.model_validate(given)
    except ValidationError as error:
        raise RunError(f"{path}: {in_words(error)}") from error
    if options.mask_format != "rle":
        raise RunError(f"{path}: mask_format: results are kept as rle")
    return options.model_dump(mode="json", exclude_unset=True)
