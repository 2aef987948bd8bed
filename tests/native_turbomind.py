"""TurboMind's native half in Python, so that LMDeploy's own Python half runs without a GPU.

`install()` puts a module of the native one's name in its place, with what LMDeploy calls of it.
Grammars are compiled and enforced by the package `xgrammar`, whose C++ the native half contains. A
thread of its own samples the tokens, as the native half's do: what follows a prompt is chance,
seeded by the prompt and the seed alone.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import xgrammar

SUCCESS, FAILED, FINISHED, CANCELLED = 0, 5, 7, 8
"""Statuses of a request (`Request` in TurboMind's `request.h`)."""
MOST_LOGPROBS = 1024
BANNED = -1e9


@dataclass(slots=True)
class GenerationConfig:
    """How to sample; like the native one it has these fields and takes no others."""

    max_new_tokens: int = 0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    temperature: float = 1.0
    eos_ids: list[int] = field(default_factory=list)
    bad_ids: Any = None
    stop_ids: Any = None
    repetition_penalty: float = 1.0
    min_new_tokens: int = 0
    output_last_hidden_state: int = 0
    output_logits: int = 0
    return_ppl: bool = False
    output_logprobs: int = 0
    random_seed: int = 0


class TokenizerInfo(xgrammar.TokenizerInfo):  # type: ignore[misc]
    """The vocabulary."""

    def __init__(
        self, vocab: list[Any], kind: int, size: int | None, stops: list[int], prefix: bool
    ) -> None:
        kinds = {"vocab_type": xgrammar.VocabType(kind), "add_prefix_space": prefix}
        super().__init__(vocab, vocab_size=size, stop_token_ids=stops, **kinds)


@dataclass
class State:
    """What the sampling thread has reached."""

    status: int = SUCCESS
    seq_len: int = 0

    def consume(self) -> "State":
        """The state now."""
        return copy(self)


@dataclass
class Model:
    """All requests' common part: TurboMind with a model in it.

    Attributes:
        vocabulary: How many tokens there are.
        words: The tokens that free text is made of.
        context_length: Tokens of prompt and reply together.
        pause: Seconds before each token.
        fails: The status that the next requests end with instead of a token.
        configs: How each request so far was to be sampled.
        running: How many are being sampled.
    """

    vocabulary: int
    words: list[int]
    context_length: int
    pause: float = 0.0005
    fails: int = SUCCESS
    configs: list[GenerationConfig] = field(default_factory=list)
    running: int = 0

    def create_request(self) -> "ModelRequest":
        """A request's handle, used for one after the other."""
        return ModelRequest(self)


class ModelRequest:
    """One handle."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._grammar: Any = None
        self._cancelled = threading.Event()

    def set_grammar(self, grammar: Any) -> None:
        """What the next request is held to."""
        self._grammar = grammar

    def cancel(self) -> None:
        """End the request under way."""
        self._cancelled.set()

    def forward(
        self,
        inputs: dict[str, torch.Tensor],
        _images: None,
        _session: SimpleNamespace,
        config: GenerationConfig,
        _stream: bool,
        _metrics: bool,
        signal: Callable[[], None],
    ) -> tuple[dict[str, torch.Tensor], State, None]:
        """Begin to sample, in a thread; `signal` tells of each token and of the end."""
        prompt = inputs["input_ids"].tolist()
        self._model.configs.append(config)
        self._cancelled = threading.Event()
        outputs = {"output_ids": torch.zeros(self._model.context_length + 1, dtype=torch.int32)}
        if config.output_logprobs:
            room = config.max_new_tokens + 1
            outputs["logprob_vals"] = torch.zeros(room, MOST_LOGPROBS)
            outputs["logprob_indexes"] = torch.zeros(room, MOST_LOGPROBS, dtype=torch.int32)
            outputs["logprob_nums"] = torch.zeros(room, dtype=torch.int32)
        outputs["output_ids"][: len(prompt)] = torch.tensor(prompt, dtype=torch.int32)
        matcher = xgrammar.GrammarMatcher(self._grammar) if self._grammar else None
        self._grammar = None
        state = State(seq_len=len(prompt))
        statuses = self._sampled(prompt, config, matcher, outputs)
        threading.Thread(target=self._run, args=(statuses, state, signal), daemon=True).start()
        return outputs, state, None

    def _run(self, statuses: Iterator[int], state: State, signal: Callable[[], None]) -> None:
        self._model.running += 1
        for status in statuses:
            if status in (SUCCESS, FINISHED):
                state.seq_len += 1
            if status != SUCCESS:
                self._model.running -= 1
            state.status = status
            signal()

    def _sampled(
        self,
        prompt: list[int],
        config: GenerationConfig,
        matcher: Any,
        outputs: dict[str, torch.Tensor],
    ) -> Iterator[int]:
        """The request's status after each token; the last one ends it."""
        model, cancelled = self._model, self._cancelled
        if model.fails:
            yield model.fails
            return
        chance = Random(str((prompt, 0 if config.top_k == 1 else config.random_seed)))
        for place in range(config.max_new_tokens):
            time.sleep(model.pause)
            if cancelled.is_set():
                yield CANCELLED
                return
            logprobs = self._logprobs(config, matcher, chance)
            token = int(logprobs.argmax())
            if matcher is not None:
                assert matcher.accept_token(token)
            if config.output_logprobs:
                likely = torch.topk(logprobs, min(64, model.vocabulary))
                count = len(likely.values)
                outputs["logprob_vals"][place, :count] = likely.values
                outputs["logprob_indexes"][place, :count] = likely.indices.to(torch.int32)
                outputs["logprob_nums"][place] = count
            outputs["output_ids"][len(prompt) + place] = token
            ended = token in config.eos_ids or place + 1 == config.max_new_tokens
            yield FINISHED if ended else SUCCESS
            if ended:
                return

    def _logprobs(self, config: GenerationConfig, matcher: Any, chance: Random) -> torch.Tensor:
        """Of each token; by chance among all that may follow."""
        vocabulary = self._model.vocabulary
        logits = torch.full((1, vocabulary), BANNED)
        for word in self._model.words if matcher is None else range(vocabulary):
            logits[0, word] = chance.gauss(0, 1)
        if matcher is not None:
            mask = xgrammar.allocate_token_bitmask(1, vocabulary)
            matcher.fill_next_token_bitmask(mask)
            xgrammar.apply_token_bitmask_inplace(logits, mask)
            logits[0, config.eos_ids] += 5  # texts come to their end
        return torch.log_softmax(logits[0], 0).clamp(min=BANNED)


def install() -> None:
    """Put the module in place; LMDeploy's TurboMind must not be imported yet."""
    module = ModuleType("lmdeploy.turbomind._turbomind")
    vars(module).update(
        DataType=ModuleType("DataType"),
        GenerationConfig=GenerationConfig,
        GrammarCompiler=xgrammar.GrammarCompiler,
        SessionParam=SimpleNamespace,
        TensorMap=dict,
        TokenizerInfo=TokenizerInfo,
        from_dlpack=lambda values: values,
    )
    module.DataType.TYPE_UINT32 = torch.uint32  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module


def build(_engine: Any, model_path: str, backend_config: Any, **_: Any) -> Any:
    """What `AsyncEngine` builds: LMDeploy's `TurboMind`, with this native half and no weights."""
    from lmdeploy.tokenizer import Tokenizer
    from lmdeploy.turbomind.turbomind import TurboMind

    built = TurboMind.__new__(TurboMind)
    built.engine_config = backend_config
    built.tokenizer = Tokenizer(model_path)
    vocabulary = built.tokenizer.model.model.get_vocab()
    built._vocab_size = len(vocabulary)
    built._grammar_compiler = None
    letters = [id for text, id in vocabulary.items() if text.isascii() and text.isalpha()]
    built.model_comm = Model(len(vocabulary), letters, backend_config.session_len)
    return built
