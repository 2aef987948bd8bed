"""LMDeploy on an NVIDIA GPU: TurboMind, or its PyTorch engine.

LMDeploy's `AsyncEngine` is given token ids and a structural tag, and gives token ids back. The text
is made here, because LMDeploy drops stop strings of several tokens and tells all special tokens or
none. What it would ignore without a word is refused.
"""

import asyncio
import dataclasses
import logging
from asyncio import to_thread
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import xgrammar
from lmdeploy import GenerationConfig, PytorchEngineConfig, TurbomindEngineConfig
from lmdeploy._guided_decoding import compile_response_format, ensure_response_format_compilable
from lmdeploy.serve.core import AsyncEngine
from lmdeploy.serve.core.exceptions import RequestError as LMDeployError

from function_calling.engines.engine import LoadedModel, prompt_too_long
from function_calling.engines.grammar import grammar
from function_calling.engines.quoting import parts
from function_calling.engines.schema_grammar import unenforced
from function_calling.engines.slots import Slots
from function_calling.engines.structural_tag import structural_tag
from function_calling.engines.token_text import TokenText, Vocabulary
from function_calling.errors import (
    EngineError,
    RequestError,
    SettingsError,
    WeightsError,
    schema_refused,
)
from function_calling.model.words import Alternative, Piece, Sampling
from function_calling.settings import Settings

_MOST_TAGS = 64
"""Constraints that are remembered with what was made of them."""
_KINDS = {"turbomind": TurbomindEngineConfig, "pytorch": PytorchEngineConfig}
# The first is a share of what the weights leave: with the 70B model on 80 GB, 100,000 tokens.
_WORDS = {"cache_max_entry_count": 0.85, "enable_prefix_caching": True, "enable_metrics": False}
_PYTORCH_WORDS = {"logprobs_mode": "raw_logprobs"}
# Below it the engines divide by next to nothing.
_LEAST_TEMPERATURE = 0.01
_SEEDS = 2**63
# TurboMind looks for them one by one, and all requests of a batch wait for it.
_MOST_TOP_K = 1024


class LMDeploy:
    """One model in LMDeploy.

    Args:
        model: The model's folder.
        backend: `turbomind` or `pytorch`.
        context_length: Tokens of prompt and reply together, for each request.
        batch_size: Requests that run at once.
        queue_length: Requests that wait at most.
        options: More of LMDeploy's engine configuration, by LMDeploy's own words.

    Raises:
        SettingsError: LMDeploy has no such option, or can't run on this machine.
        WeightsError: LMDeploy can't load the model.
    """

    def __init__(
        self,
        model: str,
        *,
        backend: str,
        context_length: int,
        batch_size: int,
        queue_length: int = 64,
        **options: Any,
    ) -> None:
        self._engine = _start_engine(
            model, backend, session_len=context_length, max_batch_size=batch_size, **options
        )
        self._backend = backend
        self._context_length = context_length
        self._slots = Slots(batch_size, queue_length)
        self._started = False
        self.tokenizer = self._engine.tokenizer.model.model
        self._bos = self.tokenizer.bos_token or ""
        begins = self.tokenizer.encode("")[:1]
        self._prefix = begins if begins == [self.tokenizer.bos_token_id] else []
        added = self.tokenizer.added_tokens_decoder
        special = {id: token.content for id, token in added.items() if token.special}
        self.controls = frozenset(special.values())
        self._vocabulary = Vocabulary(
            xgrammar.TokenizerInfo.from_huggingface(self.tokenizer).decoded_vocab,
            frozenset(special),
        )
        self._tags: dict[str, dict[str, Any]] = {}
        self._compiler = _grammar_compiler(self._engine, self._vocabulary, backend)

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        _check_supported(sampling, self._backend)
        ids = self._ids(prompt)
        if len(ids) >= self._context_length:
            raise prompt_too_long(len(ids), self._context_length)
        config = generation_config(sampling, self._context_length - len(ids))
        if sampling.constraint:
            # A large schema takes a while to compile, and other requests go on meanwhile.
            config.response_format = await to_thread(self._guide, sampling.constraint)
        text = TokenText(self._vocabulary, sampling)
        last = Piece("")
        async with (
            self._slots.taken(begun=sampling.begun),
            aclosing(self._outputs(ids, config)) as outputs,
        ):
            async for output in outputs:
                counts = len(ids), output.generate_token_len
                told, tokens = text.add(output.token_ids or (), output.logprobs or ())
                if told:
                    yield Piece(told, *counts, logprobs=tokens)
                last = Piece("", *counts, output.finish_reason)
                if text.stop:
                    last = Piece("", *counts, "stop", stop=text.stop)
                    break
        told, tokens = text.rest()
        yield dataclasses.replace(last, text=told, logprobs=tokens)

    def _ids(self, prompt: str) -> list[int]:
        """The prompt's tokens; the first one once, also where the template writes it too."""
        ids = list(self._prefix)
        for text, quoted in parts(prompt.removeprefix(self._bos)):
            ids += self.tokenizer.encode(
                text, add_special_tokens=False, split_special_tokens=quoted
            )
        return ids

    async def _outputs(self, ids: list[int], config: GenerationConfig) -> AsyncGenerator[Any, None]:
        """LMDeploy's outputs; closing them aborts the generation and frees its session."""
        engine = self._engine
        if not self._started:
            engine.start_loop(asyncio.get_running_loop(), use_async_api=True)
            self._started = True
        session = engine.session_mgr.get()
        session.epoch = engine.epoch
        try:
            request = await engine.preprocess(None, session, gen_config=config, input_ids=ids)
            async with aclosing(engine.generate(request)) as outputs:
                async for output in outputs:
                    _check_goes_on(output.finish_reason)
                    if config.response_format and not request.gen_config.response_format:
                        raise EngineError("The engine gave up the constraint; its log says why.")
                    yield output
            _check_goes_on(None)
        except LMDeployError as error:
            _check_goes_on(None)
            status = int(error.status_code)
            if status < 500:
                raise RequestError(error.message, code=error.code.value, status=status) from error
            raise EngineError(f"The engine failed: {error.message}", status=status) from error
        finally:
            # LMDeploy forgets it itself, but not where it refuses the constraint.
            engine.session_mgr.remove(session)

    def _guide(self, constraint: tuple[Alternative, ...]) -> dict[str, Any]:
        """The constraint as LMDeploy takes it, compiled once to see that it can be."""
        written = grammar(constraint)
        if known := self._tags.get(written):
            return known
        try:
            tag = structural_tag(constraint)
            ensure_response_format_compilable(tag)
            if self._compiler is not None:
                compile_response_format(self._compiler, tag)
        except Exception as error:
            raise schema_refused(" ".join(str(error).split())) from error
        while len(self._tags) >= _MOST_TAGS:
            self._tags.pop(next(iter(self._tags)), None)
        self._tags[written] = tag
        return tag

    async def count(self, prompt: str) -> int:
        """See `Engine.count`."""
        return len(self._ids(prompt))

    async def busy(self) -> int:
        """See `Engine.busy`."""
        running: int = self._engine.session_mgr.request_handle_pool.num_dispatched
        return running

    async def waiting(self) -> int:
        """See `Engine.waiting`."""
        return self._slots.waiting

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.close()


def _check_goes_on(reason: str | None) -> None:
    """See that the generation wasn't broken off.

    LMDeploy takes the cancellation of a task for an affair of its own, and tells it as "length" or,
    if there was no token yet, as an error.

    Raises:
        CancelledError: Its task was cancelled.
        EngineError: LMDeploy aborted it.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    if reason in ("abort", "error"):
        raise EngineError(f"The engine broke off: {reason}.")


def _start_engine(model: str, backend: str, **options: Any) -> AsyncEngine:
    """LMDeploy's engine with the model in it; `options` are words of its configuration."""
    kind = _KINDS[backend]
    words = _WORDS | (_PYTORCH_WORDS if backend == "pytorch" else {}) | options
    if unknown := words.keys() - {each.name for each in dataclasses.fields(kind)}:
        raise SettingsError(f"LMDeploy's {backend} engine has no option {', '.join(unknown)}.")
    logging.getLogger("lmdeploy").setLevel(logging.WARNING)  # it would tell of each request
    try:
        return AsyncEngine(model, backend=backend, backend_config=kind(**words))
    except (Exception, SystemExit) as error:  # its PyTorch engine exits where there is no GPU
        raise WeightsError(f"LMDeploy can't load {model}: {error!r}") from error


def _grammar_compiler(engine: AsyncEngine, vocabulary: Vocabulary, backend: str) -> Any:
    """TurboMind's compiler of grammars, for tokens that are text; PyTorch's engine has none here.

    LMDeploy's own takes special tokens for their names, which a string may hold, and knows one of
    those that end a text: each of the others would end a call in the middle of a string. It would
    also be made again by each thread that compiles.
    """
    if backend != "turbomind":
        return None
    from lmdeploy.turbomind import _tm  # it is missing where only PyTorch's engine can run

    turbomind = engine.engine
    texts = [b"" if id in vocabulary.special else each for id, each in enumerate(vocabulary.texts)]
    size, ends = turbomind._vocab_size, engine._determine_gen_config([]).stop_token_ids
    # 0 is the kind of vocabulary whose texts are bytes as they are.
    info = _tm.TokenizerInfo(texts[:size], 0, size, ends, False)
    turbomind._grammar_compiler = _tm.GrammarCompiler(info)
    return turbomind._grammar_compiler


def _check_supported(sampling: Sampling, backend: str) -> None:
    """See that nothing is asked for that LMDeploy would ignore."""
    # TurboMind tells the probabilities that it samples by, and the likeliest token's is then 1.
    untold = sampling.logprobs is not None and backend == "turbomind" and _is_greedy(sampling)
    alone = "LMDeploy's engine takes repetition_penalty alone"
    for param, asked, why in (
        ("logit_bias", sampling.logit_bias, "LMDeploy's engine takes none"),
        ("frequency_penalty", sampling.frequency_penalty, alone),
        ("presence_penalty", sampling.presence_penalty, alone),
        ("top_k", sampling.top_k > _MOST_TOP_K, f"LMDeploy's engine takes {_MOST_TOP_K} at most"),
        ("logprobs", untold, "TurboMind tells none at temperature 0; set a higher one"),
    ):
        if asked:
            raise RequestError(
                f"{param}: this parameter is not supported here: {why}.",
                param=param,
                code="unsupported_parameter",
            )


def generation_config(sampling: Sampling, room: int) -> GenerationConfig:
    """How to generate at most `room` tokens; samplers that nobody asked for are switched off."""
    return GenerationConfig(
        max_new_tokens=room if sampling.max_tokens is None else min(sampling.max_tokens, room),
        do_sample=not _is_greedy(sampling),
        temperature=max(sampling.temperature, _LEAST_TEMPERATURE),
        top_p=sampling.top_p,
        top_k=sampling.top_k,
        min_p=sampling.min_p,
        repetition_penalty=sampling.repetition_penalty,
        random_seed=None if sampling.seed is None else sampling.seed % _SEEDS,
        logprobs=None if sampling.logprobs is None else max(1, sampling.logprobs),
    )


def _is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature < _LEAST_TEMPERATURE


def load(settings: Settings) -> LoadedModel:
    """Load the model in `LLAMA_MODEL_DIR`.

    Raises:
        SettingsError: It is empty.
    """
    if not (folder := settings.llama_model_dir):
        raise SettingsError("LLAMA_MODEL_DIR is empty; LMDeploy wants a folder with a model.")
    name = settings.model_id or Path(folder).name
    engine = LMDeploy(
        folder,
        backend=settings.gpu_engine,
        context_length=settings.gpu_context_length,
        batch_size=settings.gpu_batch_size,
        queue_length=settings.queue_length,
        model_format="awq" if "awq" in name.lower() else None,
    )
    return LoadedModel(
        name=name,
        engine=engine,
        chat_template=engine.tokenizer.chat_template or "",
        bos_token=engine.tokenizer.bos_token or "",
        eos_token=engine.tokenizer.eos_token or "",
        context_length=settings.gpu_context_length,
        unenforced=unenforced,
        controls=engine.controls,
    )
