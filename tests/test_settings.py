"""Settings come from the environment, once, and are right or refused."""

from dataclasses import FrozenInstanceError, fields

import pytest

from function_calling.errors import SettingsError
from function_calling.settings import TOOL_FORMATS, Settings


def test_an_empty_environment_gives_the_defaults() -> None:
    """Nothing has to be set."""
    assert Settings.from_env({}) == Settings()


def test_the_defaults_obey_their_own_rules() -> None:
    """What is refused when set is not the default either."""
    environ = {each.metadata["variable"]: str(each.default) for each in fields(Settings)}
    assert Settings.from_env(environ) == Settings()


def test_every_variable_is_read_into_its_field() -> None:
    """Each field has one variable, converted to the field's type."""
    environ = {
        "ENGINE": "llamacpp",
        "MODEL_ID": "acme/tiny:tiny.gguf",
        "MODEL_PATH": "/models/tiny.gguf",
        "LLAMA_MODEL_DIR": "/models/tiny",
        "MODELS_DIR": "/models",
        "MODEL_NAME": "gpt-4o, tiny",
        "TOOL_FORMAT": "hermes",
        "THREADS": "3",
        "CONTEXT_LENGTH": "1024",
        "PARALLEL_SLOTS": "2",
        "GPU_ENGINE": "pytorch",
        "GPU_CONTEXT_LENGTH": "8192",
        "GPU_BATCH_SIZE": "8",
        "QUEUE_LENGTH": "0",
        "LLAMA_URL": "http://127.0.0.1:3001",
        "LLAMA_API_KEY": "secret",
        "LLAMA_MODEL": "tiny",
        "TOOLS": "todo",
        "TODO_DB": "/data/todo.db",
        "MAX_ROUNDS": "4",
        "MAX_REPLY_TOKENS": "99",
        "TOOL_TIMEOUT": "1.5",
        "TOOL_RESULT_BYTES": "500",
        "APPROVAL": "refused",
        "QUERY_TIMEOUT": "60",
        "MAX_QUERY_LENGTH": "100",
        "MAX_CHAT_LENGTH": "1000",
        "EXCHANGE_RATES": "ecb",
        "RATES_URL": "https://rates.example/hist.zip",
    }
    assert set(environ) == {each.metadata["variable"] for each in fields(Settings)}
    settings = Settings.from_env(environ)
    for each in fields(Settings):
        value = getattr(settings, each.name)
        assert value == type(each.default)(environ[each.metadata["variable"]])
        assert type(value) is type(each.default)


def test_spaces_and_empty_values_count_as_unset() -> None:
    """`THREADS=` in a shell or a Compose file means the default."""
    assert Settings.from_env({"THREADS": " ", "ENGINE": "", "MAX_ROUNDS": " 7 "}) == Settings(
        max_rounds=7
    )


def test_other_variables_are_left_alone() -> None:
    """The environment is full of what is not ours."""
    assert Settings.from_env({"PATH": "/bin", "threads": "2"}) == Settings()


@pytest.mark.parametrize(
    ("variable", "text", "wanted"),
    [
        ("ENGINE", "vllm", "one of auto, llamacpp, lmdeploy"),
        ("TOOL_FORMAT", "Hermes", f"one of auto, {', '.join(TOOL_FORMATS)}"),
        ("MODEL_NAME", "a,,b", "one name or several, parted by commas"),
        ("MODEL_NAME", "gpt 4o", "one name or several, parted by commas"),
        ("THREADS", "many", "a whole number"),
        ("THREADS", "1.5", "a whole number"),
        ("THREADS", "-1", "0 or more"),
        ("CONTEXT_LENGTH", "255", "256 or more"),
        ("PARALLEL_SLOTS", "0", "1 or more"),
        ("PARALLEL_SLOTS", "65", "64 or less"),
        ("GPU_ENGINE", "vllm", "one of turbomind, pytorch"),
        ("GPU_CONTEXT_LENGTH", "255", "256 or more"),
        ("GPU_BATCH_SIZE", "1025", "1024 or less"),
        ("QUEUE_LENGTH", "-1", "0 or more"),
        ("MAX_ROUNDS", "0", "1 or more"),
        ("MAX_ROUNDS", "101", "100 or less"),
        ("TOOL_TIMEOUT", "soon", "a number"),
        ("TOOL_TIMEOUT", "0", "0.01 or more"),
        ("TOOL_TIMEOUT", "nan", "0.01 or more"),
        ("MAX_REPLY_TOKENS", "15", "16 or more"),
        ("TOOL_RESULT_BYTES", "99", "100 or more"),
        ("APPROVAL", "yes", "one of given, refused"),
        ("QUERY_TIMEOUT", "-3", "0.01 or more"),
        ("MAX_QUERY_LENGTH", "0", "1 or more"),
        ("EXCHANGE_RATES", "ECB", "one of fixed, ecb"),
        ("RATES_URL", "ftp://rates.example", "`off` or the http(s) address of a zip file"),
        ("RATES_URL", "no", "`off` or the http(s) address of a zip file"),
    ],
)
def test_a_wrong_value_is_refused_with_variable_value_and_want(
    variable: str, text: str, wanted: str
) -> None:
    """The operator reads what to change, and to what."""
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({variable: text})
    assert str(caught.value) == f"{variable}={text!r}: wanted {wanted}."


@pytest.mark.parametrize(
    ("variable", "text", "field", "value"),
    [
        ("CONTEXT_LENGTH", "256", "context_length", 256),
        ("PARALLEL_SLOTS", "64", "parallel_slots", 64),
        ("THREADS", "0", "threads", 0),
        ("MAX_ROUNDS", "100", "max_rounds", 100),
        ("TOOL_TIMEOUT", "0.01", "tool_timeout", 0.01),
    ],
)
def test_the_bounds_themselves_are_good(variable: str, text: str, field: str, value: float) -> None:
    """Least and most are inclusive."""
    assert getattr(Settings.from_env({variable: text}), field) == value


def test_settings_do_not_change() -> None:
    """What was checked stays true."""
    with pytest.raises(FrozenInstanceError):
        Settings().threads = 2  # type: ignore[misc]


def test_every_setting_says_what_it_means() -> None:
    """The settings' page is made of these."""
    for each in fields(Settings):
        assert len(each.metadata["meaning"]) > 20
