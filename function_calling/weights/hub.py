"""The Hugging Face hub, through its own client.

The client's variables hold (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`, `HF_HOME`, …), and so does
its cache: what another program downloaded is not downloaded again.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import (
    constants,
    get_hf_file_metadata,
    hf_hub_download,
    hf_hub_url,
    try_to_load_from_cache,
)

from function_calling.errors import WeightsError
from function_calling.weights.source import Carried, demand_room, tell

PROBE_SECONDS = 5.0
"""How long the hub may take to say that it has a file, before it counts as away."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a repository on the hub; `revision` None means the newest.

    The client keeps no half file: a killed download starts again.
    """

    repo: str
    filename: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"hub {self.repo}" + (f"@{self.revision[:8]}" if self.revision else "")

    def carry(self, part: Path, size: int, *, fresh: bool = False) -> Carried:
        """The file in the client's cache, downloaded if it is not there yet."""
        cached = try_to_load_from_cache(self.repo, self.filename, revision=self.revision)
        if isinstance(cached, str) and not fresh:
            return Carried(Path(cached), reused=True)
        if trouble := self._trouble():
            raise WeightsError(trouble)
        demand_room(Path(constants.HF_HUB_CACHE), size)
        tell(f"Downloading {self.filename} ({size / 1e6:,.0f} MB) from {self}")
        return Carried(self._download(force_download=fresh), reused=False)

    def newest(self) -> Path:
        """The file as the hub has it now, or as it is cached while the hub is away.

        Raises:
            WeightsError: The hub doesn't give the file and it isn't cached.
        """
        trouble = self._trouble()
        try:
            return self._download(local_files_only=trouble is not None)
        except WeightsError as error:
            raise WeightsError(f"{self} gave no {self.filename}: {trouble or error}") from error

    def _download(self, **how: Any) -> Path:
        try:
            path = hf_hub_download(self.repo, self.filename, revision=self.revision, **how)
        # The client lets its transports' own errors through; each means that this way is closed.
        except Exception as error:
            raise WeightsError(_reason(error)) from error
        return Path(path)

    def _trouble(self) -> str | None:
        """Why the hub can't be asked for the file now, or None.

        The client itself retries for half a minute before it gives up. One request is enough to
        learn that the hub is away. It runs in a thread because neither a name look-up nor a row
        of silent addresses keeps to a socket's time-out.
        """
        told: list[str | None] = []

        def ask() -> None:
            try:
                get_hf_file_metadata(hf_hub_url(self.repo, self.filename, revision=self.revision))
                told.append(None)
            except Exception as error:  # whatever it is, it is the answer
                told.append(_reason(error))

        asking = threading.Thread(target=ask, daemon=True)
        asking.start()
        asking.join(PROBE_SECONDS)
        return told[0] if told else f"no answer within {PROBE_SECONDS:g} s"


def _reason(error: Exception) -> str:
    """An error's kind and first line; the hub's errors are paragraphs."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
