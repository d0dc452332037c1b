"""What a tuned model's folder says of itself: that it writes reasoning paths (SFTDT, Eq. 10), and from what it came."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

FILE = "sftdt.json"


class TunedRecord(BaseModel):
    """`sftdt.json` in the folder of a LoRA adapter, written by its trainer, or of a model that holds one merged."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str  # name or folder of the base model
    base_weights: str | None  # `weights_hash` of the base; None where it was no folder
    adapter: str | None = None  # in a merged model: name and hash of the adapter

    @classmethod
    def of(cls, folder: Path) -> "TunedRecord | None":
        """The record in `folder`; None where it has none. Raises ValueError for one that cannot be read."""
        try:
            return cls.model_validate_json((folder / FILE).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError as error:
            raise ValueError(f"{folder / FILE} is no record of a tuned model: {error}") from error

    def write(self, folder: Path) -> None:
        """Into `folder`."""
        (folder / FILE).write_text(self.model_dump_json(indent=2) + "\n")
