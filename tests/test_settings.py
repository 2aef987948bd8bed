"""Settings come from the environment, once, and are right or refused."""

from dataclasses import fields
from pathlib import Path

import pytest

from function_calling.errors import SettingsError
from function_calling.settings import TOOL_FORMATS, Settings, misspelled

LEAST = """
    ENGINE=llamacpp     MODEL_NAME=gpt-4o,tiny     LLAMA_URL=http://127.0.0.1:3001   LLAMA_API_KEY=a
    QUEUE_LENGTH=0      PARALLEL_SLOTS=64          QUERY_TIMEOUT=0.01                STOP_TIMEOUT=0
    LOG_FORMAT=json     ALLOWED_HOSTS=a.b,c.d      CORS_ORIGINS=https://a.example    RATES_URL=off
"""
"""Values of each kind, at a bound where there is one."""


def test_what_is_not_set_has_its_default() -> None:
    """`THREADS=` in a shell or a Compose file counts as not set; other variables are not ours."""
    environ = {"THREADS": " ", "ENGINE": "", "MAX_ROUNDS": " 7 ", "PATH": "/bin", "threads": "2"}
    assert Settings.from_env(environ) == Settings(max_rounds=7)


def test_the_defaults_obey_their_own_rules() -> None:
    """What is refused when set is not the default either."""
    environ = {each.name.upper(): str(each.default) for each in fields(Settings)}
    assert Settings.from_env(environ) == Settings()


def test_a_variable_is_read_into_the_field_of_its_name() -> None:
    """Converted to the field's type; bounds are inclusive."""
    environ = dict(pair.split("=", 1) for pair in LEAST.split())
    settings = Settings.from_env(environ)
    for name, text in environ.items():
        value, default = (getattr(each, name.lower()) for each in (settings, Settings()))
        assert value == type(default)(text) != default
        assert type(value) is type(default)


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("ENGINE", "vllm", "one of auto, llamacpp, lmdeploy"),
        ("TOOL_FORMAT", "Hermes", f"one of auto, {', '.join(TOOL_FORMATS)}"),
        ("MODEL_NAME", "a,,b", "one name or several, parted by commas"),
        ("ALLOWED_HOSTS", "a.example:80", "host names without a port, parted by commas"),
        ("CORS_ORIGINS", "a.example", "origins like https://app.example:8443, parted by commas"),
        ("LLAMA_URL", "model-host:3001", "an address like http://localhost:3001"),
        ("LLAMA_URL", "http://host:abc", "an address like http://localhost:3001"),
        ("RATES_URL", "ftp://rates.example", "`off` or the http(s) address of a zip file"),
        ("THREADS", "1.5", "a whole number"),
        ("TOOL_TIMEOUT", "soon", "a number"),
        ("TOOL_TIMEOUT", "nan", "0.01 or more"),
        ("QUERY_TIMEOUT", "inf", "86400 or less"),
        ("PARALLEL_SLOTS", "65", "64 or less"),
    ],
)
def test_a_wrong_value_is_refused_with_variable_value_and_want(
    variable: str, text: str, wanted: str
) -> None:
    """The operator reads what to change, and to what."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: text})
    assert str(caught.value) == f"{variable}={text!r}: wanted {wanted}."


def test_a_name_that_is_nearly_a_settings_is_asked_about() -> None:
    """Unless the setting itself is set, as where a script keeps one of the `API_KEYS` apart."""
    environ = {"CONTEX_LENGTH": "8192", "API_KEYS": "a", "API_KEY": "a", "PATH": "/bin"}
    assert list(misspelled(environ)) == ["CONTEX_LENGTH is no setting: is CONTEXT_LENGTH meant?"]


def test_a_path_holds_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The servers start in the checkout, wherever the command was typed."""
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_env({"MODEL_PATH": "a b/tiny.gguf", "TODO_DB": "~/todo.db"})
    assert settings.paths() == {
        "MODEL_PATH": str(tmp_path / "a b/tiny.gguf"),
        "TODO_DB": str(Path.home() / "todo.db"),
    }
