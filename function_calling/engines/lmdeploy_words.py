"""LMDeploy's words for ours: its engine, how to generate, what goes wrong.

What LMDeploy would ignore without a word is refused here.
"""

import dataclasses
import logging
from typing import Any

from lmdeploy import GenerationConfig, PytorchEngineConfig, TurbomindEngineConfig
from lmdeploy.serve.core import AsyncEngine
from lmdeploy.serve.core.exceptions import RequestError as LMDeployError

from function_calling.engines.token_text import Vocabulary
from function_calling.errors import EngineError, RequestError, SettingsError, WeightsError
from function_calling.model.words import Sampling

_KINDS = {"turbomind": TurbomindEngineConfig, "pytorch": PytorchEngineConfig}
# The first is a share of what the weights leave: with the 70B model on 80 GB, 100,000 tokens.
_COMMON = {
    "cache_max_entry_count": 0.85,
    "enable_prefix_caching": True,
    "enable_metrics": False,
}
_OWN: dict[str, dict[str, Any]] = {
    "turbomind": {},
    "pytorch": {"logprobs_mode": "raw_logprobs"},
}
# Below it the engines divide by next to nothing.
_LEAST_TEMPERATURE = 0.01
_SEEDS = 2**63
# TurboMind looks for them one by one, and all requests of a batch wait for it.
_MOST_TOP_K = 1024


def start_engine(model: str, backend: str, **options: Any) -> AsyncEngine:
    """LMDeploy's engine with the model in it; `options` are words of its configuration.

    Raises:
        SettingsError: LMDeploy has no such option.
        WeightsError: LMDeploy can't load the model here.
    """
    kind = _KINDS[backend]
    words = _COMMON | _OWN[backend] | options
    if unknown := words.keys() - {each.name for each in dataclasses.fields(kind)}:
        raise SettingsError(f"LMDeploy's {backend} engine has no option {', '.join(unknown)}.")
    logging.getLogger("lmdeploy").setLevel(logging.WARNING)  # it would tell of each request
    try:
        return AsyncEngine(model, backend=backend, backend_config=kind(**words))
    except (Exception, SystemExit) as error:  # its PyTorch engine exits where there is no GPU
        raise WeightsError(f"LMDeploy can't load {model}: {error!r}") from error


def grammar_compiler(engine: AsyncEngine, vocabulary: Vocabulary, backend: str) -> Any:
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


def check_supported(sampling: Sampling, backend: str) -> None:
    """See that nothing is asked for that LMDeploy would ignore.

    Raises:
        RequestError: Names the parameter.
    """
    if sampling.logit_bias:
        raise _unsupported("logit_bias", "LMDeploy's engine takes none")
    for penalty in ("frequency_penalty", "presence_penalty"):
        if getattr(sampling, penalty):
            raise _unsupported(penalty, "LMDeploy's engine takes repetition_penalty alone")
    if sampling.top_k > _MOST_TOP_K:
        raise _unsupported("top_k", f"LMDeploy's engine takes {_MOST_TOP_K} at most")
    # TurboMind tells the probabilities that it samples by, and the likeliest token's is then 1.
    if sampling.logprobs is not None and backend == "turbomind" and _is_greedy(sampling):
        raise _unsupported("logprobs", "TurboMind tells none at temperature 0; set a higher one")


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


def error_of(error: LMDeployError) -> RequestError | EngineError:
    """LMDeploy's error as ours."""
    status = int(error.status_code)
    if status < 500:
        return RequestError(error.message, code=error.code.value, status=status)
    return EngineError(f"The engine failed: {error.message}", status=status)


def _is_greedy(sampling: Sampling) -> bool:
    return sampling.temperature < _LEAST_TEMPERATURE


def _unsupported(param: str, why: str) -> RequestError:
    return RequestError(
        f"{param}: this parameter is not supported here: {why}.",
        param=param,
        code="unsupported_parameter",
    )
