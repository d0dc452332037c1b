import errno
import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.training.annotate.conftest import Job, said, step
from training.annotate.output import AnnotateError
from training.annotate.session import Session
from training.annotate.written import Fault, Written
from training.segdt import read

ALL = step(said(1, False), said(2, True), said(3, False))
NOTHING = step(said(1, None), said(2, None), said(3, None), otherwise="none  holds\na drink")


@pytest.fixture
def session(job: Job) -> Iterator[Session]:
    session = Session(job.file, job.images, job.out, "Ada")
    yield session
    session.output.close()


def save(session: Session, position: int, body: str) -> list[Fault]:
    return session.save(position, Written.model_validate_json(body))


@contextmanager
def again(session: Session, job: Job) -> Iterator[Session]:
    """The session ended and begun anew."""
    session.output.close()
    anew = Session(job.file, job.images, job.out, "Ada")
    with closing(anew.output):
        yield anew


def test_what_is_saved_is_a_valid_sample_with_the_annotators_name(session: Session, job: Job) -> None:
    assert save(session, 0, ALL) == []
    [sample] = read(job.out)
    assert (sample.id, sample.indices, sample.provenance.annotator) == ("a", (2,), "Ada")
    assert sample.path[0].decisions[1].semantic is None


def test_undecided_objects_are_dropped_for_one_reason(session: Session, job: Job) -> None:
    assert save(session, 1, NOTHING) == []
    [sample] = read(job.out)
    assert (sample.indices, sample.path[0].decisions) == ((), ())
    assert sample.path[0].otherwise == "none holds a drink"


@pytest.mark.parametrize(
    ("body", "places"),
    [
        (step(said(1, None), said(2, True), said(3, False)), [(1, 1)]),
        (step(said(1, False, " "), said(2, True), said(3, False)), [(1, 1)]),
        (step(said(1, False), said(2, True), said(3, False), criterion=" "), [(1, None)]),
        (step(said(1, False), said(2, True)), [(None, None)]),
        (step(said(1, False), said(2, True), said(3, False), said(9, False)), [(None, None)]),
        ('{"path": []}', [(None, None)]),
    ],
)
def test_what_is_missing_is_told_at_its_place_and_nothing_is_saved(
    session: Session, job: Job, body: str, places: list[tuple[int | None, int | None]]
) -> None:
    assert [(fault.step, fault.index) for fault in save(session, 0, body)] == places
    assert job.out.read_bytes() == b""


def test_a_step_over_nothing_is_told(session: Session) -> None:
    path = json.loads(NOTHING)["path"]
    found = save(session, 0, json.dumps({"path": [*path, {"criterion": "is red", "decisions": []}]}))
    assert [(fault.step, fault.index) for fault in found] == [(2, None)]


def test_a_sample_saved_again_replaces_its_line_and_the_others_stay(session: Session, job: Job) -> None:
    for position, body in [(0, ALL), (1, ALL), (0, NOTHING), (2, ALL)]:
        assert save(session, position, body) == []
    assert [(sample.id, sample.indices) for sample in read(job.out)] == [("a", ()), ("b", (2,)), ("c", (2,))]
    with again(session, job) as anew:
        assert anew.progress().saved == (True, True, True)


def test_a_line_that_a_crash_cut_off_is_dropped_and_the_work_goes_on(session: Session, job: Job) -> None:
    save(session, 0, ALL)
    save(session, 1, ALL)
    job.out.write_bytes(job.out.read_bytes()[:-40])
    with again(session, job) as anew:
        assert anew.progress().saved == (True, False, False)
        save(anew, 1, ALL)
    assert [sample.id for sample in read(job.out)] == ["a", "b"]


@pytest.mark.parametrize("left", [1, 4, 9])
def test_a_line_cut_off_at_its_beginning_is_dropped_too(session: Session, job: Job, left: int) -> None:
    save(session, 0, ALL)
    whole = job.out.read_bytes()
    job.out.write_bytes(whole + whole[:left])
    with again(session, job) as anew:
        assert anew.progress().saved == (True, False, False)
    assert job.out.read_bytes() == whole


@pytest.mark.parametrize("replaced", [False, True])
def test_a_save_that_a_full_disk_cut_off_leaves_no_trace(
    session: Session, job: Job, monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    for body in [ALL, NOTHING][: 1 + replaced]:
        save(session, 0, body)

    def cut(file: BinaryIO, data: bytes) -> None:
        file.write(data[:9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("training.annotate.output._write", cut)
        with pytest.raises(AnnotateError, match="No space left"):
            save(session, 1, ALL)
    assert save(session, 1, ALL) == []
    assert [sample.id for sample in read(job.out)] == ["a", "b"]


def test_a_file_that_another_program_changed_is_left_as_it_is(session: Session, job: Job) -> None:
    save(session, 0, ALL)
    other = job.out.read_bytes() + b"\n"
    job.out.write_bytes(other)
    with pytest.raises(AnnotateError, match="changed by another program"):
        save(session, 1, ALL)
    assert job.out.read_bytes() == other


def test_an_output_of_another_input_or_in_use_is_refused(session: Session, job: Job, tmp_path: Path) -> None:
    save(session, 0, ALL)
    with pytest.raises(AnnotateError, match="is being written by another annotation"):
        Session(job.file, job.images, job.out, "Ada")
    job.file.write_text(job.file.read_text().replace("a brown desk", "a black desk"))
    with pytest.raises(AnnotateError, match=r"done\.jsonl:1: 'a' comes from another input"), again(session, job):
        pass
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Bob")
    with pytest.raises(AnnotateError, match=r"letter\.txt:1: not JSON"):
        Session(job.file, job.images, letter, "Ada")
    assert letter.read_text() == "Dear Bob"
