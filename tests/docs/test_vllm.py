"""The command lines of docs/vllm.md, as vLLM itself reads them, and the arithmetic beside them.

vLLM brings another torch than ours, so the tests that need it run in an environment of their own: `make check-vllm`.
This file must not need what is not in there.
"""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs/vllm.md").read_text()
BLOCKS = [block.replace("\\\n", " ") for block in re.findall(r"^```sh\n(.*?)^```$", DOC, re.MULTILINE | re.DOTALL)]
COMMANDS = [shlex.split(block)[2:] for block in BLOCKS if block.startswith("vllm serve ")]
CARDS = (1, 2, 4, 8)

needs_vllm = pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make check-vllm")


def test_there_is_a_command_line_for_each_set_of_cards() -> None:
    assert len(COMMANDS) == len(CARDS)


def test_the_memory_told_is_what_the_arithmetic_gives() -> None:
    vllm_memory = pytest.importorskip("benchmarks.vllm_memory")
    assert vllm_memory.table() in DOC


def parsed(command: list[str]) -> Any:
    """The arguments of `vllm serve`, parsed and checked by vLLM."""
    from vllm.entrypoints.common.cli_args import make_arg_parser, validate_parsed_serve_args
    from vllm.platforms import current_platform
    from vllm.utils.argparse_utils import FlexibleArgumentParser

    current_platform.device_type = current_platform.device_type or "cuda"  # there may be no GPU here
    arguments = make_arg_parser(FlexibleArgumentParser()).parse_args(command)
    validate_parsed_serve_args(arguments)
    return arguments


@needs_vllm
@pytest.mark.parametrize(("command", "cards"), [*zip(COMMANDS, CARDS, strict=True)], ids=map(str, CARDS))
def test_vllm_takes_the_command_line(command: list[str], cards: int) -> None:
    from vllm.config import LoRAConfig
    from vllm.engine.arg_utils import AsyncEngineArgs

    arguments = parsed(command)
    arguments.model = arguments.model_tag
    engine = AsyncEngineArgs.from_cli_args(arguments)
    assert (engine.tensor_parallel_size, engine.enable_lora, engine.enable_prefix_caching) == (cards, True, True)
    assert engine.model == "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic"
    slots = LoRAConfig(
        max_lora_rank=engine.max_lora_rank, max_loras=engine.max_loras, max_cpu_loras=engine.max_cpu_loras
    )
    assert (slots.max_lora_rank, slots.max_loras) == (64, 2)
    assert all(re.fullmatch(r"[\w-]+@[0-9a-f]{12}", module.name) for module in arguments.lora_modules)
    assert arguments.default_chat_template_kwargs == {"date_string": "26 Jul 2024"}
    assert (engine.max_model_len, engine.gpu_memory_utilization) == (32768, 0.9)


@needs_vllm
@pytest.mark.parametrize(
    "wrong", [["--max-lora-rank", "24"], ["--max-model-length", "1"], ["--lora-modules", "sftdt"], ["--guided", "x"]]
)
def test_vllm_refuses_a_command_line_that_is_wrong(wrong: list[str]) -> None:
    """So that the check above can fail."""
    with pytest.raises(SystemExit):
        parsed([*COMMANDS[0], *wrong])


@needs_vllm
@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({}, None),
        ({"r": 512}, None),
        ({"r": 12}, "rank"),
        ({"use_dora": True}, "DoRA"),
        ({"lora_bias": True}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
    ],
)
def test_vllm_judges_adapters_as_the_checks_of_training_do(values: dict[str, Any], fault: str | None) -> None:
    from vllm.config import LoRAConfig
    from vllm.lora.peft_helper import PEFTHelper

    config = {"r": 8, "lora_alpha": 16, "target_modules": ["q_proj"], "bias": "none"} | values
    if fault == "rank":
        from typing import get_args

        from vllm.config.lora import MaxLoRARanks

        assert values["r"] not in get_args(MaxLoRARanks)
        return
    if fault is None:
        PEFTHelper.from_dict(config).validate_legal(LoRAConfig(max_lora_rank=512))
        return
    with pytest.raises(ValueError, match=fault):
        PEFTHelper.from_dict(config).validate_legal(LoRAConfig(max_lora_rank=512))
