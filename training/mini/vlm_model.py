"""dtwin-mini-vlm: a LLaVA of about 4 million parameters, its processor, and the directory that both are saved to."""

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipVisionConfig,
)
from transformers.models.llava.image_processing_llava import LlavaImageProcessor

from training.mini.tokenizer import WORD, build_tokenizer

PAD, END, IMAGE = "<|pad|>", "<|end|>", "<|image|>"
ROLES = ("<|system|>", "<|user|>", "<|assistant|>")
SIDE = 96  # pixels of a picture as the model sees it
PATCH = 16
HIDDEN = 192
HEADS = 6
LAYERS = 4  # of the vision tower and of the language model each
MAX_TOKENS = 512  # pictures, query and answer

# The assistant's turn opens with its role; a finished turn closes with END.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}<|{{ message['role'] }}|>"
    "{%- if message['content'] is string -%}{{ message['content'] }}"
    "{%- else -%}{%- for part in message['content'] -%}"
    "{%- if part['type'] == 'text' -%}{{ part['text'] }}{%- else -%}" + IMAGE + "{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if message['role'] == 'assistant' -%}" + END + "{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)


def picture_processor() -> LlavaImageProcessor:
    """Pads a picture to a square and scales it to SIDE, for the trainer as for the server."""
    return LlavaImageProcessor(
        do_pad=True,
        size={"height": SIDE, "width": SIDE},
        do_center_crop=False,
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.25, 0.25, 0.25],
    )


def make_processor(texts: Iterable[str], fragments: Sequence[str]) -> LlavaProcessor:
    """Pictures, and text with words and fragments as one token each."""
    words = {word for text in texts for word in re.findall(WORD, text)}
    tokenizer = build_tokenizer(fragments, words, (PAD, END, IMAGE, *ROLES), CHAT_TEMPLATE)
    tokenizer.model_max_length = MAX_TOKENS
    return LlavaProcessor(
        image_processor=picture_processor(),
        tokenizer=tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="full",
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
    )


def words(processor: LlavaProcessor) -> list[str]:
    """The words and numbers that are one token of `processor` each: " mast", "12"."""
    texts = (processor.tokenizer.decode(token) for token in range(len(processor.tokenizer)))
    return [text for text in texts if re.fullmatch(r" ?[A-Za-z]+|\d+", text)]


def make_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlavaForConditionalGeneration:
    """The model with fresh weights, float32."""
    pad, end, image = (tokenizer.convert_tokens_to_ids(token) for token in (PAD, END, IMAGE))
    vision = SiglipVisionConfig(
        hidden_size=HIDDEN,
        intermediate_size=4 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=SIDE,
        patch_size=PATCH,
        vision_use_head=False,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=3 * HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=MAX_TOKENS,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_index=image,
            image_seq_length=(SIDE // PATCH) ** 2,
            vision_feature_select_strategy="full",
            vision_feature_layer=-1,
        )
    )
    model.generation_config = GenerationConfig(do_sample=False, eos_token_id=end, pad_token_id=pad, max_new_tokens=64)
    return model


def begin(model: LlavaForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, directory: Path) -> None:
    """Give `model` the weights of the one in `directory`, of the same shape; of its words those that both have."""
    model.load_state_dict(translated(directory, tokenizer, model.state_dict()))


def translated(directory: Path, tokenizer: PreTrainedTokenizerFast, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the model in `directory` in the vocabulary of `tokenizer`; words that it lacks as in `own`."""
    other, processor = load(directory)
    known = processor.tokenizer.get_vocab()
    pairs = [(new, known[token]) for token, new in tokenizer.get_vocab().items() if token in known]
    new, old = (torch.tensor(places) for places in zip(*pairs, strict=True))
    found: dict[str, Tensor] = other.state_dict()
    for name in found:
        if name.endswith(("embed_tokens.weight", "lm_head.weight")):
            found[name] = own[name].clone().index_copy_(0, new, found[name][old])
    return found


def save(
    model: LlavaForConditionalGeneration, weights: Mapping[str, Tensor], processor: LlavaProcessor, directory: Path
) -> None:
    """Write what `transformers serve DIRECTORY` loads. Weights are stored as float16 and served as float32."""
    directory.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.half().cpu() for name, tensor in weights.items()}
    model.save_pretrained(directory, state_dict=state)
    (directory / "model.safetensors").chmod(0o644)  # whoever runs the server may read it
    processor.save_pretrained(directory)


def load(directory: Path) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The model, float32, and its processor."""
    model = LlavaForConditionalGeneration.from_pretrained(directory, dtype=torch.float32)
    return model.eval(), LlavaProcessor.from_pretrained(directory)
