"""Word-level tokenizers for the mini models: whole words, numbers and fragments of JSON are one token each.

Text is cut by one regular expression. A cut that is in the vocabulary is one token, any other falls back to its bytes:
nothing is unknown, and decoding gives back exactly what was encoded.
"""

import re
from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

WORD = r" ?[A-Za-z]+|\d+|[\s\S]"
_BYTES = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def build_tokenizer(
    fragments: Sequence[str],
    words: Iterable[str],
    special: Sequence[str],
    chat_template: str,
    patterns: Sequence[str] = (),
) -> PreTrainedTokenizerFast:
    """A fast tokenizer that loads with AutoTokenizer.

    fragments: strings that are cut out whole wherever they occur, the longest first. patterns: regular expressions
    that are cut out like fragments, before them; what they match is a token where `words` holds it. words: further
    tokens (" word", "12"). special: tokens that text never yields, the first is the padding, the second ends an answer.
    """
    longest_first = sorted(set(fragments), key=lambda f: (-len(f), f))
    cut = "|".join([*patterns, *(re.escape(f) for f in longest_first), WORD])
    vocabulary = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = set(vocabulary)
    for token in (_byte_level(text) for text in [*longest_first, *sorted(set(words))]):
        if token not in known:
            known.add(token)
            vocabulary.append(token)
    ids = {token: index for index, token in enumerate([*special, *vocabulary])}
    core = Tokenizer(models.BPE(vocab=ids, merges=[], ignore_merges=True))
    core.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(cut), behavior="isolated"), _BYTES])
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=special[0],
        eos_token=special[1],
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def _byte_level(text: str) -> str:
    """`text` in the alphabet of byte-level models."""
    return "".join(piece for piece, _ in _BYTES.pre_tokenize_str(text))
