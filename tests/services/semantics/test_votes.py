"""Consolidation of votes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtwinseger.api import Semantics
from services.semantics.votes import consolidated


def vote(category: str, *attributes: str, semantic: str = "a thing", relevance: float = 0.5) -> Semantics:
    return Semantics(semantic=semantic, category=category, attributes=attributes, relevance=relevance)


def test_one_vote_is_the_answer() -> None:
    alone = vote("mug", "red", "small", semantic="a small red mug", relevance=0.7)
    assert consolidated([alone]) == alone


def test_the_category_is_that_of_most_votes_whatever_their_case() -> None:
    assert consolidated([vote("cup"), vote("Mug"), vote("mug ")]).category == "Mug"


def test_of_equal_categories_the_first_is_taken() -> None:
    assert consolidated([vote("cup"), vote("mug")]).category == "cup"


def test_an_attribute_needs_more_than_half_of_the_votes() -> None:
    three = [vote("mug", "red", "small"), vote("mug", "Red", "full"), vote("mug", "full")]
    assert consolidated(three).attributes == ("red", "full")
    assert consolidated(three[:2]).attributes == ("red",)


def test_an_attribute_said_twice_in_a_vote_counts_once() -> None:
    assert consolidated([vote("mug", "red", "RED"), vote("mug"), vote("mug")]).attributes == ()


def test_relevance_is_the_mean() -> None:
    assert consolidated([vote("a", relevance=0.9), vote("a", relevance=0.3)]).relevance == pytest.approx(0.6)


def test_the_semantic_is_of_the_vote_nearest_to_what_all_say() -> None:
    votes = [
        vote("mug", "red", "broken", "old", semantic="a broken old red mug"),
        vote("mug", "red", "small", semantic="a small red mug"),
        vote("cup", "red", "small", semantic="a small red cup"),
    ]
    assert consolidated(votes).semantic == "a small red mug"


short = st.text(min_size=1, max_size=8)
votes = st.builds(
    Semantics,
    semantic=short,
    category=short,
    attributes=st.lists(short, max_size=20).map(tuple),
    relevance=st.floats(0, 1),
)


@given(st.lists(votes, min_size=1, max_size=5))
def test_any_votes_give_a_description_made_of_what_they_say(cast: list[Semantics]) -> None:
    made = consolidated(cast)
    assert made.semantic in {each.semantic for each in cast}
    assert made.category in {each.category for each in cast}
    assert set(made.attributes) <= {attribute for each in cast for attribute in each.attributes}
    assert min(each.relevance for each in cast) <= made.relevance + 1e-9
