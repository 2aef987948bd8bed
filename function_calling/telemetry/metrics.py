"""What both services count, for Prometheus at `/metrics`; where vLLM has a name, it is that one's.

BentoML collects what is registered here from all workers of a service, through files in
`PROMETHEUS_MULTIPROC_DIR`. Labels have few values: none is a client's to choose.
"""

from time import perf_counter

from prometheus_client import Counter, Histogram

from function_calling.errors import ApiError

# Most of vLLM's bounds; no model here is as fast as its first ones.
_FIRST = (0.01, 0.04, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160)
_EACH = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2.5)
_WHOLE = (0.1, 0.3, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120, 240, 480)

_prompt_tokens = Counter("llama_prompt_tokens", "Prompt tokens of replies")
_generation_tokens = Counter("llama_generation_tokens", "Tokens generated for replies")
_cache_queries = Counter("llama_prefix_cache_queries", "Prompt tokens looked for in the cache")
_cache_hits = Counter("llama_prefix_cache_hits", "Prompt tokens found in the cache")
_first_token = Histogram(
    "llama_time_to_first_token_seconds", "From a reply's begin to its first event", buckets=_FIRST
)
_output_token = Histogram(
    "llama_time_per_output_token_seconds", "For each token behind the first event", buckets=_EACH
)
_latency = Histogram(
    "llama_e2e_request_latency_seconds", "From a reply's begin to its end", buckets=_WHOLE
)
_success = Counter("llama_request_success", "Replies that came to an end", ["finished_reason"])
_refusals = Counter("llama_requests_refused", "Requests answered with an error", ["reason"])

_rounds = Histogram("assistant_rounds", "Model calls for a query", buckets=(1, 2, 3, 4, 6, 8, 11))
_tool_calls = Counter("assistant_tool_calls", "Tool calls", ["tool", "outcome"])
_grounding = Counter("assistant_grounding", "Answers by how they came to be trusted", ["result"])
_errors = Counter("assistant_errors", "Queries answered with an error", ["status"])


class ReplyMeter:
    """Takes the times of one reply, which begins when this is made."""

    def __init__(self) -> None:
        self._begun = perf_counter()
        self._first: float | None = None

    def event(self) -> None:
        """The reply has told something."""
        if self._first is None:
            self._first = perf_counter()
            _first_token.observe(self._first - self._begun)

    def end(self, prompt: int, generated: int, cached: int, finish_reason: str) -> None:
        """The reply is complete; counts are tokens, `cached` those of the prompt."""
        now = perf_counter()
        _latency.observe(now - self._begun)
        if self._first is not None and generated > 1:
            _output_token.observe((now - self._first) / (generated - 1))
        _prompt_tokens.inc(prompt)
        _generation_tokens.inc(generated)
        _cache_queries.inc(prompt)
        _cache_hits.inc(cached)
        _success.labels(finish_reason).inc()


def refused(error: ApiError) -> None:
    """The model's server answers with this error; its reason is its code, or else its status."""
    _refusals.labels(error.code or str(error.status)).inc()


def tool_called(tool: str, outcome: str) -> None:
    """A tool of ours was called, or "unknown"."""
    _tool_calls.labels(tool, outcome).inc()


def answered(grounding: str, rounds: int) -> None:
    """A query has its answer."""
    _grounding.labels(grounding).inc()
    _rounds.observe(rounds)


def failed(error: ApiError) -> None:
    """A query is answered with this error; codes are left out, since any server may choose them."""
    _errors.labels(str(error.status)).inc()


def load(running: int, waiting: int) -> str:
    """The gauges of an engine's load at this moment, as `/metrics` tells them."""
    gauges = (
        ("llama_num_requests_running", "Generations running now", running),
        ("llama_num_requests_waiting", "Generations waiting for a slot now", waiting),
    )
    return "".join(
        f"# HELP {name} {what}\n# TYPE {name} gauge\n{name} {count}\n"
        for name, what, count in gauges
    )
