"""The results of the GPU's benchmark as a short table."""

from collections.abc import Iterator, Sequence
from typing import Any

_CHECKS = ("generation", "abort", "concurrency", "forced_calls")


def table(results: dict[str, Any]) -> Iterator[str]:
    """Its lines; a part that failed has its problem in place of numbers."""
    machine = results["machine"]
    yield f"{machine['gpu']}, driver {machine['driver']}, LMDeploy {machine['lmdeploy']}"
    speed, weights = results["bandwidth"] / 1e12, results["weights_read"] / 1e9
    limit = f"at most {results['limit']:.1f} tokens/s at batch 1"
    yield f"memory {speed:.2f} TB/s, weights {weights:.2f} GB: {limit}"
    yield f"made in {results['make_seconds']} s, loaded in {results['load_seconds']} s"
    for name in _CHECKS:
        if name in results:
            told = ", ".join(f"{key} {value}" for key, value in results[name].items())
            yield f"{name:<14} right: {told}"
    yield from _rows("tokens a second", results.get("decode"))
    yield from _rows("first token", results.get("first_token"))
    for name in ("continuations", "calls"):
        told = results.get(name, {})
        yield from _rows(name, [{key: told[key] for key in told if key != "at_once"}])
    yield from _rows("calls at once", results.get("calls", {}).get("at_once"))
    for name, problem in results["problems"].items():
        yield f"{name:<14} FAILED: {problem}"


def _rows(title: str, lines: Sequence[dict[str, Any]] | None) -> Iterator[str]:
    """A table of dictionaries; the widest names the columns."""
    if not lines or not lines[0]:
        return
    columns = max(lines, key=len)
    yield ""
    yield title
    yield "  ".join(columns)
    for line in lines:
        cells = (_cell(line.get(column, "")) for column in columns)
        yield "  ".join(cell.rjust(len(name)) for name, cell in zip(columns, cells, strict=True))


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
