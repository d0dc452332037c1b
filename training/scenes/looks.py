"""What a thing is like, as queries say it."""

from dataclasses import dataclass

from training.scenes.criteria import Criterion, Is, IsKind, IsPart, OfKind
from training.scenes.things import Thing
from training.scenes.words import MASS, plural


@dataclass(frozen=True)
class Look:
    """What a thing is like; None and () leave it open. Several kinds are alternatives; `noun` is one word for them."""

    size: str | None = None
    color: str | None = None
    surface: str | None = None  # a pattern or a material
    kinds: tuple[str, ...] = ()
    noun: str | None = None

    def fits(self, thing: Thing) -> bool:
        return (
            (not self.kinds or (thing.kind in self.kinds))
            and self.color in (None, thing.color)
            and self.size in (None, thing.size)
            and self.surface in (None, thing.surface)
        )

    def phrase(self, thing_word: str = "thing") -> str:
        """ "small red kite"."""
        noun = self.noun or (self.kinds[0] if self.kinds else thing_word)
        return self._adjectives(f"piece of {noun}" if noun in MASS else noun)

    def plural_phrase(self, thing_word: str = "thing") -> str:
        noun = self.noun or (self.kinds[0] if self.kinds else thing_word)
        return self._adjectives(f"pieces of {noun}" if noun in MASS else plural(noun))

    def _adjectives(self, noun: str) -> str:
        return " ".join(word for word in (self.size, self.color, self.surface, noun) if word)

    def steps(self) -> list[Criterion]:
        """One criterion for each thing that is said: the kind first, then color, surface and size."""
        kind: list[Criterion] = [IsKind(self.kinds)] if self.kinds else []
        return kind + self._attributes()

    def part_steps(self, parts: tuple[str, ...]) -> list[Criterion]:
        """The same for parts, so called, of what is like this."""
        kind: list[Criterion] = [IsPart(parts), OfKind(self.kinds)] if self.kinds else [IsPart(parts)]
        return kind + self._attributes()

    def _attributes(self) -> list[Criterion]:
        said = (
            Is("color", (self.color,)) if self.color else None,
            Is("surface", (self.surface,)) if self.surface else None,
            Is("size", (self.size,)) if self.size else None,
        )
        return [one for one in said if one]
