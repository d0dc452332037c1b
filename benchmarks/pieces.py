"""The pieces that large models' tokenizers cut a text into before they merge: no more than its tokens.

Their vocabularies are not bundled. The patterns are those of the published tokenizers' files.
"""

from tokenizers import Regex, pre_tokenizers

_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
    r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
GPT4 = _PATTERN.format(digits="{1,3}")  # and Llama 3: three digits a piece
QWEN = _PATTERN.format(digits="")  # Qwen2.5: one digit a piece


def pieces(text: str, pattern: str) -> int:
    """How many pieces `pattern` cuts `text` into."""
    return len(pre_tokenizers.Split(Regex(pattern), behavior="isolated").pre_tokenize_str(text))
