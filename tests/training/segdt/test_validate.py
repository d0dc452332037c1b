import hashlib
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from dtwinseger.twin import render_twin
from tests.training.segdt.samples import GOLDEN, spoilt
from training.segdt import SegDTError, read
from training.segdt.commands import app
from training.segdt.reading import ERRORS_SHOWN


def written(folder: Path, *lines: str | bytes) -> Path:
    """A file of these lines."""
    path = folder / "segdt.jsonl"
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


def validate(*arguments: str | Path) -> tuple[int, list[str]]:
    """Exit code and lines of output."""
    done = CliRunner().invoke(app, ["validate", *map(str, arguments)])
    return done.exit_code, done.output.splitlines()


def test_a_golden_line_is_valid_and_written_again_is_the_same_line(tmp_path: Path) -> None:
    path = written(tmp_path, GOLDEN)
    [sample] = read(path)
    assert sample.line() == GOLDEN
    assert sample.provenance.kind == "affordance"
    assert render_twin(sample.dt0).replace("\n", "") in GOLDEN
    assert validate(path) == (0, ["1 samples are valid, 0 errors"])


WRONG = {
    "broken JSON": (GOLDEN[:-20], "not JSON: "),
    "an empty line": ("", "the line is empty"),
    "a list": ("[]", "not a JSON object but list"),
    "another encoding": (GOLDEN.replace("red", "réd").encode("latin-1"), "not UTF-8: byte "),
    "a key twice": (GOLDEN.replace('"schema":1', '"schema":1,"schema":1'), "not JSON: the key 'schema' is there twice"),
    "no number": (GOLDEN.replace("50.0", "NaN"), "not JSON: NaN is no JSON number"),
    "deep nesting": ("[" * 100_000, "not JSON: "),
    "another version": (spoilt(("schema", 2)), "schema: this is version 2; version 1 is read"),
    "a version that is no number": (spoilt(("schema", "1")), "schema: this is version '1'"),
    "a version that only equals it": (spoilt(("schema", True)), "schema: this is version True"),
    "no version": (spoilt(("schema", ...)), "schema: Field required"),
    "an unknown field": (spoilt(("colour", "red")), "colour: Extra inputs are not permitted"),
    "an unknown field of an object": (spoilt(("dt0.1.mask", None)), "dt0.1.mask: Extra inputs are not permitted"),
    "a missing field": (spoilt(("image.sha256", ...)), "image.sha256: Field required"),
    "a number as text": (spoilt(("dt0.1.index", "2")), "dt0.1.index: Input should be a valid integer"),
    "a truth as text": (spoilt(("path.0.decisions.0.keep", "no")), "path.0.decisions.0.keep: Input should be a valid"),
    "a file elsewhere": (spoilt(("image.file", "../x.png")), "image.file: String should match pattern"),
    "no query": (spoilt(("query", " ")), "query: String should match pattern"),
    "an index that does not exist": (spoilt(("indices", [2, 9])), "indices: [9] are not in the twin"),
    "indices that the path does not keep": (spoilt(("indices", [1])), "path: indices are [1] but the last step kept"),
    "a decision on what does not exist": (
        spoilt(("path.0.decisions.2.index", 7)),
        "path: step 1 decides on [7], which are not in the twin",
    ),
    "a decision that is missing": (spoilt(("path.0.decisions.2", ...)), "path: step 1 does not decide on [3]"),
    "an empty path": (spoilt(("path", [])), "path: the path is empty"),
    "a relation to nothing": (
        spoilt(("dt0.2.spatial", "at the right; right of 8 (mug)")),
        "dt0: object 3: spatial relates it to [8], which are not in the twin",
    ),
    "a relation to itself": (spoilt(("dt0.2.spatial", "at the right; right of 3 (mug)")), "relates it to itself"),
    "a box beyond the image": (spoilt(("dt0.0.bbox", [0, 20, 65, 48])), "bbox [0, 20, 65, 48] is not within 64x48"),
    "a box without a pixel": (spoilt(("dt0.1.bbox", [10, 10, 10, 20])), "bbox [10, 10, 10, 20] is not within"),
    "an area over all": (spoilt(("dt0.0.area_percent", 101.0)), "dt0: object 1: area_percent is 101.0"),
    "objects out of order": (
        GOLDEN.replace('"index":2,"semantic"', '"index":4,"semantic"'),
        "dt0: objects must be in index order, each once; they are [1, 4, 3]",
    ),
    "a number in another form": (
        spoilt(("dt0.0.area_percent", 50)),
        "dt0: object 1 is not as it is rendered",
    ),
}


@pytest.mark.parametrize(("line", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, line: str | bytes, message: str) -> None:
    path = written(tmp_path, GOLDEN, line)
    code, said = validate(path)
    assert code == 1
    assert said[0].startswith(f"{path}:2: ")
    assert any(message in told for told in said[:-1]), said
    assert said[-1].startswith("1 samples are valid, ")


def test_keys_of_an_object_come_in_the_order_in_which_they_are_rendered(tmp_path: Path) -> None:
    path = written(tmp_path, GOLDEN.replace('"index":2,"semantic":"a red mug"', '"semantic":"a red mug","index":2', 1))
    assert "dt0: object 2 is not as it is rendered" in validate(path)[1][0]


def test_an_id_is_used_once_over_all_files(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, second = written(tmp_path, GOLDEN), written(tmp_path / "other", spoilt(identity="x"), GOLDEN)
    assert validate(first, second) == (
        1,
        [f"{second}:2: id: 'golden-1' is that of {first}:1 too", "2 samples are valid, 1 errors"],
    )


def test_every_error_is_counted_and_so_many_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, *["{}"] * 50)
    code, said = validate(path)
    assert code == 1
    assert len(said) == ERRORS_SHOWN + 2
    assert said[-2:] == ["… and 350 more", "0 samples are valid, 450 errors"]
    with pytest.raises(SegDTError, match="350 more"):
        read(path)


def test_a_file_that_is_empty_or_not_there_is_an_error(tmp_path: Path) -> None:
    empty, missing = written(tmp_path), tmp_path / "missing.jsonl"
    assert validate(empty, missing)[1] == [
        f"{empty}: the file is empty",
        f"{missing}: No such file or directory",
        "0 samples are valid, 2 errors",
    ]


def picture(folder: Path, name: str, width: int, height: int) -> str:
    """Save a picture; its SHA-256."""
    Image.new("RGB", (width, height)).save(folder / name)
    return hashlib.sha256((folder / name).read_bytes()).hexdigest()


def test_images_are_the_ones_that_the_lines_name(tmp_path: Path) -> None:
    right, small = picture(tmp_path, "right.png", 64, 48), picture(tmp_path, "small.png", 32, 48)
    (tmp_path / "broken.png").write_bytes(b"no picture")

    def line(file: str, sha256: str) -> str:
        return spoilt(("image.file", file), ("image.sha256", sha256), identity=f"{file}{sha256[:4]}")

    lines = [line("right.png", right), line("gone.png", right), line("small.png", small), line("right.png", small)]
    path = written(tmp_path, *lines, line("broken.png", right))
    code, said = validate(path, "--images", tmp_path)
    assert code == 1
    assert said[0] == f"{path}:2: image: {tmp_path}/gone.png: No such file or directory"
    assert said[1] == f"{path}:3: image: small.png is 32x48, not 64x48"
    assert said[2] == f"{path}:4: image: right.png has SHA-256 {right[:12]}…, not {small[:12]}…"
    assert said[3].startswith(f"{path}:5: image: {tmp_path}/broken.png: the image cannot be decoded")
    assert said[4] == "1 samples are valid, 4 errors"
