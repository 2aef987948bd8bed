"""LMDeploy on an NVIDIA GPU: TurboMind, or its PyTorch engine.

LMDeploy's `AsyncEngine` is given token ids and a structural tag, and gives token ids back. The text
is made here, because LMDeploy drops stop strings of several tokens and tells all special tokens or
none. What it would ignore without a word is refused.
"""

import asyncio
import dataclasses
from asyncio import to_thread
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import xgrammar
from lmdeploy import GenerationConfig, PytorchEngineConfig, TurbomindEngineConfig
from lmdeploy._guided_decoding import compile_response_format, ensure_response_format_compilable
from lmdeploy.serve.core import AsyncEngine
from lmdeploy.serve.core.exceptions import RequestError as LMDeployError

from function_calling.engines.engine import LoadedModel
from function_calling.engines.grammar import grammar, refused
from function_calling.engines.slots import Slots
from function_calling.engines.structural_tag import structural_tag
from function_calling.engines.token_text import TokenText, Vocabulary
from function_calling.errors import EngineError, RequestError, SettingsError, WeightsError
from function_calling.messages import Alternative, Piece, Sampling
from function_calling.settings import GPU_MODEL_ID, Settings

# Of the memory that the weights leave. With the 70B model on 80 GB that holds some 100,000 tokens.
_CACHE_SHARE = 0.85
# Below it the engines divide by next to nothing.
_LEAST_TEMPERATURE = 0.01
_SEEDS = 2**63


class LMDeploy:
    """One model in LMDeploy.

    Args:
        model: The model's folder, or its name at the hub.
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
        words = {
            "session_len": context_length,
            "max_batch_size": batch_size,
            "cache_max_entry_count": _CACHE_SHARE,
            "enable_prefix_caching": True,
            "enable_metrics": False,
        }
        self._engine = _loaded(model, backend, words | options)
        self._turbomind = backend == "turbomind"
        self._context_length = context_length
        self._slots = Slots(batch_size, queue_length)
        self._started = False
        self.tokenizer = self._engine.tokenizer.model.model
        self._bos = self.tokenizer.bos_token or ""
        begins = self.tokenizer.encode("")[:1]
        self._prefix = begins if begins == [self.tokenizer.bos_token_id] else []
        added = self.tokenizer.added_tokens_decoder
        self._vocabulary = Vocabulary(
            xgrammar.TokenizerInfo.from_huggingface(self.tokenizer).decoded_vocab,
            frozenset(id for id, token in added.items() if token.special),
        )
        # Made here, because the threads that compile would each make their own.
        self._compiler = self._engine.engine.grammar_compiler if self._turbomind else None

    async def generate(self, prompt: str, sampling: Sampling) -> AsyncGenerator[Piece, None]:
        """See `Engine.generate`."""
        self._check_supported(sampling)
        ids = [*self._prefix, *self._encoded(prompt.removeprefix(self._bos))]
        room = self._context_length - len(ids)
        if room < 1:
            raise RequestError(
                f"The prompt has {len(ids)} tokens; this model's context holds "
                f"{self._context_length} tokens of prompt and reply together.",
                param="messages",
                code="context_length_exceeded",
            )
        config = _generation_config(sampling, room)
        if sampling.constraint:
            # A large schema takes a while to compile, and other requests go on meanwhile.
            config.response_format = await to_thread(self._guide, sampling.constraint)
        text = TokenText(self._vocabulary, sampling)
        async with self._slots.taken(begun=sampling.begun):
            last = Piece("")
            async with aclosing(self._outputs(ids, config)) as outputs:
                async for output in outputs:
                    told = text.add(output.token_ids or (), output.logprobs or ())
                    if output.finish_reason and not text.stopped:
                        told = told[0] + (rest := text.rest())[0], told[1] + rest[1]
                    counts = len(ids), output.generate_token_len
                    if told[0]:
                        yield Piece(told[0], *counts, logprobs=told[1])
                    last = Piece("", *counts, "stop" if text.stopped else output.finish_reason)
                    if text.stopped:
                        break
        yield last

    async def _outputs(self, ids: list[int], config: GenerationConfig) -> AsyncGenerator[Any, None]:
        """LMDeploy's outputs; closing them aborts the generation and frees its session."""
        engine = self._engine
        if not self._started:
            engine.start_loop(asyncio.get_running_loop(), use_async_api=True)
            self._started = True
        session = engine.session_mgr.get()
        session.epoch = engine.epoch
        reason = None
        try:
            request = await engine.preprocess(None, session, gen_config=config, input_ids=ids)
            async with aclosing(engine.generate(request)) as outputs:
                async for output in outputs:
                    if config.response_format and not request.gen_config.response_format:
                        raise EngineError("The engine gave up the constraint; its log says why.")
                    reason = output.finish_reason
                    if reason in ("abort", "error"):
                        raise EngineError(f"The engine ended the reply: {reason}.")
                    yield output
        except LMDeployError as error:
            raise _error(error) from error
        finally:
            # LMDeploy forgets it itself, but not where it refuses the constraint.
            engine.session_mgr.remove(session)
        if reason is None:
            # It takes a cancellation for an end of its own, and tells nobody.
            raise asyncio.CancelledError

    def _encoded(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False)
        return ids

    def _guide(self, constraint: tuple[Alternative, ...]) -> dict[str, Any]:
        """The constraint as LMDeploy takes it, compiled once to see that it can be."""
        grammar(constraint)
        tag = structural_tag(constraint)
        try:
            ensure_response_format_compilable(tag)
            if self._compiler is not None:
                compile_response_format(self._compiler, tag)
        except Exception as error:
            raise refused(" ".join(str(error).split())) from error
        return tag

    def _check_supported(self, sampling: Sampling) -> None:
        if sampling.logit_bias:
            raise _unsupported("logit_bias", "LMDeploy takes none")
        if sampling.logprobs is not None and self._turbomind and _is_greedy(sampling):
            raise _unsupported(
                "logprobs",
                "TurboMind knows none where temperature is 0; set a higher one",
            )

    async def busy(self) -> int:
        """See `Engine.busy`."""
        running: int = self._engine.session_mgr.request_handle_pool.num_dispatched
        return running

    def close(self) -> None:
        """See `Engine.close`."""
        self._engine.close()


def _loaded(model: str, backend: str, words: dict[str, Any]) -> AsyncEngine:
    kind = TurbomindEngineConfig if backend == "turbomind" else PytorchEngineConfig
    if backend == "pytorch":
        words = {"logprobs_mode": "raw_logprobs", **words}
    # LMDeploy drops words that it doesn't know, and so would any misspelt one.
    if unknown := words.keys() - {each.name for each in dataclasses.fields(kind)}:
        raise SettingsError(f"LMDeploy's {backend} engine has no option {', '.join(unknown)}.")
    try:
        return AsyncEngine(model, backend=backend, backend_config=kind(**words))
    except (Exception, SystemExit) as error:  # its PyTorch engine exits where there is no GPU
        raise WeightsError(f"LMDeploy can't load {model}: {error!r}") from error


def _is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature < _LEAST_TEMPERATURE


def _generation_config(sampling: Sampling, room: int) -> GenerationConfig:
    """LMDeploy's words for the same, with its own extra samplers switched off."""
    return GenerationConfig(
        max_new_tokens=room if sampling.max_tokens is None else min(sampling.max_tokens, room),
        do_sample=not _is_greedy(sampling),
        temperature=max(sampling.temperature, _LEAST_TEMPERATURE),
        top_p=sampling.top_p,
        top_k=0,
        random_seed=None if sampling.seed is None else sampling.seed % _SEEDS,
        logprobs=None if sampling.logprobs is None else max(1, sampling.logprobs),
    )


def _unsupported(param: str, why: str) -> RequestError:
    return RequestError(
        f"{param}: this parameter is not supported here: {why}.",
        param=param,
        code="unsupported_parameter",
    )


def _error(error: LMDeployError) -> RequestError | EngineError:
    """LMDeploy's error as ours."""
    if error.status_code < 500:
        return RequestError(error.message, code=error.code.value, status=int(error.status_code))
    return EngineError(f"The engine failed: {error.message}", status=int(error.status_code))


def load(settings: Settings) -> LoadedModel:
    """Load the model of the settings; LMDeploy fetches it from the hub if it is not here yet."""
    name = settings.model_id or GPU_MODEL_ID
    model = settings.model_path or name
    options = {"download_dir": settings.models_dir or None}
    if "awq" in model.lower():
        options["model_format"] = "awq"
    engine = LMDeploy(
        model,
        backend=settings.gpu_engine,
        context_length=settings.gpu_context_length,
        batch_size=settings.gpu_batch_size,
        queue_length=settings.queue_length,
        **options,
    )
    return LoadedModel(
        name=name,
        engine=engine,
        chat_template=engine.tokenizer.chat_template,
        bos_token=engine.tokenizer.bos_token or "",
        eos_token=engine.tokenizer.eos_token or "",
        context_length=settings.gpu_context_length,
    )
