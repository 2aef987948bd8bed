"""The machine: which GPU it has, and how fast that copies its memory."""

import subprocess
import time

import torch

_BYTES = {"cuda": 2**32, "cpu": 2**26}
_COPIES = 20


def device() -> torch.device:
    """The GPU; where there is none, the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def gpu() -> dict[str, str]:
    """The GPU's name, driver and memory, as NVIDIA's driver tells them."""
    asked = {"gpu": "name", "driver": "driver_version", "memory": "memory.total"}
    command = ["nvidia-smi", f"--query-gpu={','.join(asked.values())}", "--format=csv,noheader"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(zip(asked, listed.splitlines()[0].split(", "), strict=True))


def bandwidth() -> float:
    """Bytes a second that the device's memory moves, those read and those written together.

    To be asked before an engine takes the memory.
    """
    source = torch.ones(_BYTES[device().type], dtype=torch.uint8, device=device())
    target = torch.zeros_like(source)
    target.copy_(source)
    _wait()
    begun = time.perf_counter()
    for _ in range(_COPIES):
        target.copy_(source)
    _wait()
    moved = 2 * len(source) * _COPIES / (time.perf_counter() - begun)
    del source, target
    torch.cuda.empty_cache()
    return moved


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
