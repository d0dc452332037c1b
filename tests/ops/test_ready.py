"""A release that is not what it says is held back."""

import tomllib

import pytest

from ops.ready import IMAGE, IMAGES, ROOT, faults

CHANGELOG = "# Changelog\n\n## [1.2.0] - 2027-01-02\n\n### Added\n\n- Shards\n\n## [1.1.0] - 2026-12-01\n"
MANIFESTS = "- {name: dtwinseger-gateway, newTag: 1.2.0}\n  image: dtwinseger-eval:1.2.0\n"
PROJECT = '[project]\nname = "x"\nversion = "1.2.0"\n'


def test_a_release_that_is_told_and_committed_is_ready() -> None:
    assert faults("1.2.0", CHANGELOG, PROJECT, MANIFESTS, "") == []


@pytest.mark.parametrize(
    ("version", "changed", "words"),
    [
        ("v1.2.0", "", "no version"),
        ("1.3.0", "", "pyproject.toml says 1.2.0"),
        ("1.3.0", "", "no section"),
        ("1.1.0", "", "says nothing"),
        ("1.3.0", "", "images of 1.2.0"),
        ("1.2.0", " M Makefile\n", "not clean"),
    ],
)
def test_what_is_missing_is_said(version: str, changed: str, words: str) -> None:
    assert any(words in fault for fault in faults(version, CHANGELOG, PROJECT, MANIFESTS, changed))


def test_the_manifests_and_the_changelog_name_this_version() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    manifests = "".join((ROOT / name).read_text() for name in IMAGES)
    assert len(IMAGE.findall(manifests)) == 8
    version = tomllib.loads(project)["project"]["version"]
    assert faults(version, (ROOT / "CHANGELOG.md").read_text(), project, manifests, "") == []
