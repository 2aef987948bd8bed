"""The settings, read once from the environment, checked, and frozen.

Every variable is a field of `Settings`, of its name in capitals, with its default and its meaning;
the table of `docs/settings.md` is checked against them.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from function_calling.errors import SettingsError

GPU_MODEL_ID = "hugging-quants/Meta-Llama-3.1-70B-Instruct-AWQ-INT4"

TOOL_FORMATS = (
    *("json_list", "hermes", "groq", "llama3", "mistral", "mistral_v11", "chatglm3"),
    *("pythonic", "qwen3coder", "react_en", "react_zh", "toolbench"),
)
_DAY = 24 * 60 * 60
_ORIGIN = r"[a-z][a-z0-9+.-]*://[^\s,/?#]+"  # desktop programs have their own schemes


def _setting(default: Any, meaning: str, **rules: Any) -> Any:
    """A field whose value obeys `choices` (else its type's), `shape`, `least` and `most`."""
    return field(default=default, metadata={"meaning": meaning, "rules": rules})


def _path(meaning: str) -> Any:
    """A field for a file or a folder, kept as the whole path: it holds in any working directory."""
    return _setting("", meaning, is_path=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator may change, with sound defaults for the machine found."""

    api_keys: str = _setting(
        "",
        "the keys that callers need, parted by commas; without one only this machine may ask; "
        "`none`: whoever reaches the port may (`docs/deploy.md`)",
    )
    api_keys_file: str = _path(
        "a file of more keys, one a line; a line that begins with `#` is none"
    )
    allowed_hosts: str = _setting(
        "",
        "names, as of a proxy, by which a server without keys may be asked beside `localhost` and "
        "addresses",
        shape=(r"[\w.-]+(\s*,\s*[\w.-]+)*", "host names without a port, parted by commas"),
    )
    cors_origins: str = _setting(
        "",
        "other sites whose pages may ask from a browser: `https://app.example`, parted by commas",
        shape=(
            rf"{_ORIGIN}(\s*,\s*{_ORIGIN})*",
            "origins like https://app.example:8443, parted by commas",
        ),
    )
    metrics_access: Literal["key", "open"] = _setting(
        "key", "`open`: whoever reaches the port may read `/metrics`; `key`: those who may ask"
    )
    engine: Literal["auto", "llamacpp", "lmdeploy"] = _setting(
        "auto",
        "`lmdeploy` (NVIDIA GPU), `llamacpp` (embedded), or `auto`: by what this machine can run",
    )
    model_id: str = _setting(
        "", "a hub model instead of the profile's own; embedded: `owner/repo:file.gguf`"
    )
    model_path: str = _path("embedded: a GGUF file on this machine; nothing is fetched")
    llama_model_dir: str = _path("LMDeploy: a folder with the model's files; nothing is fetched")
    models_dir: str = _path("embedded: where fetched weights are kept (default: a per-user cache)")
    model_name: str = _setting(
        "",
        "the model's name on `/v1`, or several: `gpt-4o,llama`; default: its file's or hub's",
        shape=(r"[^\s,]+(\s*,\s*[^\s,]+)*", "one name or several, parted by commas"),
    )
    tool_format: str = _setting(
        "auto",
        "how the model writes tool calls: `react_en`, say, or `auto`: by its chat template",
        choices=("auto", *TOOL_FORMATS),
    )
    threads: int = _setting(
        0, "CPU threads of the embedded engine; 0: all cores", least=0, most=1024
    )
    context_length: int = _setting(
        4096, "tokens of prompt and reply together, for each request", least=256, most=2**24
    )
    parallel_slots: int = _setting(
        4, "requests that the embedded engine runs at once", least=1, most=64
    )
    prompt_cache: int = _setting(
        1024,
        "MiB of memory that the embedded engine keeps earlier prompts in; 0: none",
        least=0,
        most=2**20,
    )
    gpu_engine: Literal["turbomind", "pytorch"] = _setting(
        "turbomind",
        "LMDeploy's engine: `turbomind`, or `pytorch` for a model that TurboMind doesn't know",
    )
    gpu_context_length: int = _setting(16384, "`CONTEXT_LENGTH` of LMDeploy", least=256, most=2**24)
    gpu_batch_size: int = _setting(32, "requests that LMDeploy runs at once", least=1, most=1024)
    queue_length: int = _setting(
        128,
        "requests that may wait for the engine, half of them of one client; one more gets a 503",
        least=0,
    )
    max_requests: int = _setting(
        256,
        "POST requests that a service works on at once, half of them of one client; one more gets "
        "a 503",
        least=1,
    )
    max_body_bytes: int = _setting(8 * 1024 * 1024, "bytes of a request's body at most", least=1024)
    llama_url: str = _setting(
        "",
        "an OpenAI-compatible server to use in place of the local `Llama`; one of `https` is asked "
        "by `HTTPS_PROXY`, where that is set",
        shape=(
            r"file:///\S+|https?://([^\s/]+@)?([\w.-]+|\[[\da-fA-F:.]+\])(:\d+)?(/\S*)?",
            "an address like http://localhost:3001",
        ),
    )
    llama_api_key: str = _setting("", "the key for `LLAMA_URL`, where it wants one")
    llama_model: str = _setting(
        "", "the model's name at `LLAMA_URL`; default: the first that it lists"
    )
    tools: str = _setting(
        "currency",
        "what the assistant can do: `currency`, `todo`, your own `module:attribute`, or several: "
        "`currency,todo`",
    )
    mcp_servers: str = _path(
        "an `mcp.json` of servers whose tools the assistant gets too (`docs/mcp.md`)"
    )
    todo_db: str = _path("an SQLite file that keeps the to-do list (default: none, in memory)")
    max_rounds: int = _setting(
        10, "model calls with tools for one query at most", least=1, most=100
    )
    max_reply_tokens: int = _setting(1024, "tokens of one reply to the assistant at most", least=16)
    tool_timeout: float = _setting(30.0, "seconds a tool may take", least=0.01, most=_DAY)
    tool_result_bytes: int = _setting(
        8192, "bytes of a tool's result at most; the rest is cut", least=100
    )
    approval: Literal["given", "refused"] = _setting(
        "given",
        "whether a tool that wants a yes gets it where nobody can be asked: `given` or `refused`",
    )
    query_timeout: float = _setting(
        290.0, "seconds the assistant may take for one query", least=0.01, most=_DAY
    )
    stop_timeout: float = _setting(
        5.0,
        "seconds that requests under way may go on when a server is told to stop",
        least=0,
        most=3600,
    )
    max_query_length: int = _setting(2000, "characters of a query at most", least=1)
    max_chat_length: int = _setting(
        50000, "characters of a chat's messages together at most", least=1
    )
    exchange_rates: Literal["fixed", "ecb"] = _setting(
        "fixed", "`fixed`: one fictitious rate, 3.14159; `ecb`: the European Central Bank's, by day"
    )
    rates_url: str = _setting(
        "https://www.ecb.europa.eu/stats/eurofxref/eurofxref-hist.zip",
        "where `ecb` fetches new rates every few hours; `off`: never",
        shape=(r"off|https?://\S+", "`off` or the http(s) address of a zip file"),
    )
    log_format: Literal["text", "json"] = _setting(
        "text",
        "how log lines are written: `text`, or `json`, an object a line (`docs/observability.md`)",
    )

    @property
    def tool_sets(self) -> str:
        """`TOOLS` without white space, and with `mcp` where servers are named."""
        names = [each.strip() for each in self.tools.split(",")]
        return ",".join([*names, *(["mcp"] if self.mcp_servers and "mcp" not in names else [])])

    def paths(self) -> dict[str, str]:
        """The paths that are set, by variable."""
        return {
            each.name.upper(): path
            for each in fields(self)
            if "is_path" in each.metadata["rules"] and (path := getattr(self, each.name))
        }

    def keys(self) -> tuple[str, ...]:
        """The keys of `API_KEYS` and of the file; none where no key is wanted.

        Raises:
            SettingsError: The file can't be read or has no key, or a key can't be used, which is
                not shown.
        """
        found = [] if self.api_keys in ("", "none") else self.api_keys.split(",")
        if self.api_keys_file:
            try:
                lines = Path(self.api_keys_file).read_text(encoding="utf-8").splitlines()
            except (OSError, ValueError) as error:
                raise SettingsError(f"API_KEYS_FILE can't be read: {error}") from error
            listed = [each for line in lines if (each := line.strip()) and each[0] != "#"]
            if not listed:
                raise SettingsError(f"API_KEYS_FILE={self.api_keys_file!r} has no key.")
            found += listed
        keys = tuple(each.strip() for each in found)
        if not all(re.fullmatch("[!-~]{8,}", key) for key in keys):
            raise SettingsError(
                "API_KEYS or API_KEYS_FILE has a key that can't be used; wanted keys of 8 or more "
                "printable ASCII characters."
            )
        return keys

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read and check every setting.

        Raises:
            SettingsError: A variable's value can't be used; names variable, value and want.
        """
        values = {}
        types = get_type_hints(cls)
        for each in fields(cls):
            variable, rules = each.name.upper(), each.metadata["rules"]
            if text := environ.get(variable, "").strip():
                known = {"choices": get_args(types[each.name])} | rules
                try:
                    values[each.name] = _checked(text, type(each.default), known)
                except ValueError as error:
                    raise SettingsError(f"{variable}={text!r}: wanted {error}.") from None
        return cls(**values)


def misspelled(environ: Mapping[str, str]) -> Iterator[str]:
    """A question for each variable whose name is nearly that of a setting which isn't set."""
    names = {each.name.upper() for each in fields(Settings)}
    for name in sorted(environ.keys() - names):
        if near := get_close_matches(name, names - environ.keys(), n=1, cutoff=0.85):
            yield f"{name} is no setting: is {near[0]} meant?"


def _checked(text: str, kind: type, rules: Mapping[str, Any]) -> Any:
    """`text` as a value of `kind`; a ValueError tells what is wanted instead."""
    try:
        value = kind(text)
    except ValueError:
        raise ValueError("a whole number" if kind is int else "a number") from None
    if "is_path" in rules:
        return os.path.abspath(os.path.expanduser(text))
    if rules["choices"] and value not in rules["choices"]:
        raise ValueError(f"one of {', '.join(rules['choices'])}")
    if "shape" in rules and not re.fullmatch(rules["shape"][0], text):
        raise ValueError(rules["shape"][1])
    if "least" in rules and not value >= rules["least"]:
        raise ValueError(f"{rules['least']} or more")
    if "most" in rules and not value <= rules["most"]:
        raise ValueError(f"{rules['most']} or less")
    return value
