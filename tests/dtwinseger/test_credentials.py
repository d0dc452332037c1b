"""API keys: how they are made, told to the gateway, and recognised."""

import pytest

from dtwinseger.credentials import Credential, credential, new_key, owner, parse


def test_keys_are_long_and_never_the_same() -> None:
    keys = {new_key() for _ in range(100)}
    assert len(keys) == 100
    assert min(len(key) for key in keys) > 256 / 6


def test_a_key_belongs_to_the_tenant_that_it_was_made_for() -> None:
    first, second, replaced = new_key(), new_key(), new_key()
    acme, globex, rotated = credential("acme", first), credential("globex", second), credential("acme", replaced)
    known = parse(f"{acme}, {globex}\n{rotated}  # from May on")
    assert [owner(key, known) for key in (first, second, replaced)] == ["acme", "globex", "acme"]
    assert owner(new_key(), known) is None
    assert owner("", known) is None
    assert owner("\ud800", known) is None


def test_the_settings_hold_no_key() -> None:
    key = new_key()
    assert key not in str(credential("acme", key))


def test_blank_lines_and_comments_are_no_keys() -> None:
    assert parse("\n# rotated in May\n ,, \n") == ()
    assert parse(f"acme:{'0' * 64}") == (Credential("acme", "0" * 64),)


@pytest.mark.parametrize("entry", ["dts_a-key-itself", "acme:dts_secret", "Acme:" + "0" * 64, "acme:" + "0" * 63, ":"])
def test_a_broken_entry_is_named_by_its_place_alone(entry: str) -> None:
    with pytest.raises(ValueError, match="entry 2") as caught:
        parse(f"acme:{'0' * 64},{entry}")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Acme", "a:b", "-a", "a" * 65, "a\n"])
def test_a_name_that_keys_could_not_hold_is_no_tenant(name: str) -> None:
    with pytest.raises(ValueError, match="no tenant"):
        credential(name, new_key())
