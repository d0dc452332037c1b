"""One who speaks about a twin: what there is to speak of, and queries from what is meant and how it is said."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from dtwinseger.twin import Granularity, Step
from training.scenes import phrases
from training.scenes.criteria import Criterion, of_place
from training.scenes.looks import Look
from training.scenes.paths import kept, solve
from training.scenes.phrases import Phrasings
from training.scenes.things import Thing
from training.scenes.vocabulary import held_out
from training.scenes.words import CLASSES, MASS, NUMBERS, article


@dataclass(frozen=True)
class Query:
    """A query with its ground truth: the indices that answer, and the path to them. `kind` is how it refers to its
    target; `phrasing`, whether training may see how it is said; `criteria`, what the path applies in turn."""

    text: str
    kind: str
    granularity: Granularity
    indices: tuple[int, ...]
    path: tuple[Step, ...]
    phrasing: Literal["seen", "held_out"]
    criteria: tuple[Criterion, ...] = ()


class Speaker:
    """Speaks about `things`; `known` are the indices of those whose kind the world has, `kinds` their kinds.

    size: (height, width) of the image. of_parts: whether the twin is one of parts: as many rows are parts as are whole
    objects, or more, since perception takes some parts for objects and the other way round. held_out: whether what is
    kept from training may be said.
    """

    def __init__(self, things: Sequence[Thing], size: tuple[int, int], rng: random.Random, held_out: bool) -> None:
        self.things = things
        self.size = size
        self.rng = rng
        self.held_out = held_out
        parts = sum(bool(thing.part) for thing in things)
        self.of_parts = 0 < parts >= sum(thing.known and not thing.part for thing in things)
        self.known = [i for i, t in enumerate(things, start=1) if t.known and bool(t.part) == self.of_parts]
        self.kinds = sorted({kind for i in self.known if (kind := things[i - 1].kind)})
        self.classes = [name for name, kinds in CLASSES.items() if not set(kinds).isdisjoint(self.kinds)]

    # --- what is there ---

    def thing(self) -> Thing | None:
        """One whose kind the world has, if there is any."""
        return self.things[self.rng.choice(self.known) - 1] if self.known else None

    def fitting(self, look: Look) -> list[int]:
        """The indices of what is like that; of parts, of what is. A part among objects is of no kind of theirs."""
        return [
            index
            for index, thing in enumerate(self.things, start=1)
            if look.fits(thing) and (self.of_parts or not (thing.part and look.kinds))
        ]

    def meeting(self, steps: Sequence[Criterion]) -> list[int]:
        return kept(self.things, self.size, steps)

    def look_of(self, thing: Thing, *, loosely: bool = False) -> Look:
        """A look that the thing has: its kind and up to two attributes. loosely: or a color without the kind."""
        said = {name for name in ("color", "color", "size", "surface") if self.rng.random() < 0.4}
        if thing.surface == "plain":
            said.discard("surface")
        while len(said) > 2:
            said.discard(self.rng.choice(("size", "surface")))
        without_kind = loosely and "color" in said and self.rng.random() < 0.25
        return Look(
            size=thing.size if "size" in said else None,
            color=thing.color if "color" in said else None,
            surface=thing.surface if "surface" in said else None,
            kinds=(thing.kind,) if thing.kind and not without_kind else (),
        )

    def unique_look(self, index: int) -> Look | None:
        """The shortest look that only this one has, up to one attribute; None where there is none."""
        thing = self.things[index - 1]
        if not thing.known or thing.kind is None:
            return None
        kinds = (thing.kind,)
        attributes = [{"color": thing.color}, {"size": thing.size}]
        if thing.surface != "plain":
            attributes.append({"surface": thing.surface})
        self.rng.shuffle(attributes)
        for attribute in ({}, *attributes):
            look = Look(kinds=kinds, **attribute)
            if self.fitting(look) == [index]:
                return look
        return None

    def class_look(self, name: str, color: str | None = None) -> Look:
        return Look(color=color, kinds=CLASSES[name], noun=name)

    def may_name(self, look: Look) -> bool:
        """Whether it may be said of nothing: what training says never names a color of a kind that is held out."""
        color = look.color
        return self.held_out or color is None or not any(held_out(color, kind) for kind in look.kinds)

    # --- how it is said ---

    def say(self, phrasings: Phrasings, **words: str) -> str:
        """One of the phrasings with these words in it, written with the habits of people."""
        text = self.rng.choice(phrasings.held_out if self.held_out else phrasings.seen).format(**words)
        habit = self.rng.random()
        if habit < 0.15:
            text = text[0].upper() + text[1:]
        elif habit < 0.22:
            text = text.removesuffix("?")
        elif habit < 0.3 and text[-1].isalpha():
            text += "."
        return text

    def query(self, kind: str, text: str, steps: Sequence[Criterion], granularity: Granularity | None = None) -> Query:
        """The query with its answer and path; for a group where several answer, unless told otherwise.

        Places come first in it: they are judged of all rows in turn, as they are read out (training.mini.llm_data).
        """
        steps = sorted(steps, key=lambda step: not of_place(step))
        indices, path = solve(self.things, self.size, steps)
        found: Granularity = "group" if len(indices) > 1 else "object"
        phrasing: Literal["seen", "held_out"] = "held_out" if self.held_out else "seen"
        return Query(text, kind, granularity or found, indices, path, phrasing, tuple(steps))

    def ask(
        self,
        kind: str,
        look: Look,
        more: Iterable[Criterion] = (),
        suffix: str = "",
        prefix: str = "",
        none: bool = False,
        counted: float = 0.2,
    ) -> Query | None:
        """Ask for what is like `look` and meets the criteria that `prefix` and `suffix` say around its noun phrase, in
        the number of the answer. `{be}` and `{have}` in the suffix go with that.

        none: nothing may answer; else something must. counted: how often the number is said.
        """
        steps = [*look.steps(), *more]
        found = self.meeting(steps)
        if not steps or bool(found) == none:
            return None
        several = len(found) > 1 or (none and self.rng.random() < 0.2)
        thing_word = self.rng.choice(("thing", "object", "one"))
        suffix = f" {suffix}" if suffix else ""
        np = prefix + look.phrase(thing_word) + suffix.format(be="is", isnt="isn't", have="has")
        nps = prefix + look.plural_phrase(thing_word) + suffix.format(be="are", isnt="aren't", have="have")
        granularity: Granularity = "group" if several else "object"
        if not several:
            return self.query(kind, self.say(phrases.ONE, np=np), steps, granularity)
        if len(found) in NUMBERS and self.rng.random() < counted:
            return self.query(kind, self.counted(len(found), nps), steps, granularity)
        if look.noun in MASS and not (look.color or look.size or look.surface or suffix) and self.rng.random() < 0.7:
            return self.query(kind, self.say(phrases.WHOLE_CLASS, nps=look.noun or ""), steps, granularity)
        return self.query(kind, self.say(phrases.SEVERAL, np=np, nps=nps), steps, granularity)

    def counted(self, number: int, nps: str) -> str:
        n = NUMBERS[number]
        return self.say(phrases.COUNTED, n=n, all_n="both" if number == 2 else f"all {n}", nps=nps)

    def any_of(self, kind: str, look: Look) -> Query | None:
        """Ask for "an animal", where there is one."""
        steps = look.steps()
        if len(self.meeting(steps)) != 1:
            return None
        return self.query(kind, self.say(phrases.ANY, a_np=article(look.phrase())), steps)
