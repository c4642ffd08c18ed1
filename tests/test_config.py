"""Where settings come from, who wins, and what is refused."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from fluid_server.config import ServerConfig, export, load_config, worker_environment
from fluid_server.errors import ConfigError
from fluid_server.places import default_model_path

VARIABLES = {"DATABASE_URL", *(f"FLUID_{name.upper()}" for name in ("config", *ServerConfig.model_fields))}
POSTGRES = "postgresql://me:sesame@db.example/fluid"


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and an environment that forgets what a test put into it."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


def written(text: str, name: str = "fluid.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def refusal(flags: dict[str, Any] | None = None, *, file: Path | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(flags, file=file)
    assert caught.value.code == "invalid_configuration"
    return caught.value


# --- who wins ------------------------------------------------------------------------------------------------


def test_defaults_are_for_this_machine_alone() -> None:
    config = load_config()
    assert (config.host, config.port, config.api_key) == ("127.0.0.1", 8080, None)
    assert config.binds_loopback


def test_the_later_source_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    written("port = 1001\n")
    assert load_config().port == 1001
    written("FLUID_PORT=1002\n", ".env")
    assert load_config().port == 1002
    monkeypatch.setenv("FLUID_PORT", "1003")
    assert load_config().port == 1003
    assert load_config({"port": 1004}).port == 1004


def test_sources_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    written("port = 1001\nmax_queue = 5\n")
    written("FLUID_THREADS=3\n", ".env")
    monkeypatch.setenv("FLUID_DEVICE", "gpu")
    config = load_config({"parallel": 2})
    assert (config.port, config.max_queue, config.threads) == (1001, 5, 3)
    assert (config.device, config.parallel) == ("GPU", 2)


def test_a_file_can_be_named() -> None:
    written("port = 1001\n")
    assert load_config(file=written("port = 2002\n", "other.toml")).port == 2002


def test_a_file_can_be_named_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUID_CONFIG", str(written("port = 2002\n", "other.toml")))
    assert load_config().port == 2002


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_memory", "8GB", 8 * 10**9),
        ("max_upload", "1MiB", 1024**2),
        ("warm_up", "no", False),
        ("idle_timeout", "1.5", 1.5),
        ("allowed_origins", "https://a.example, http://b", ["https://a.example", "http://b"]),
        ("openvino", "HINT=f32, A=b=c", {"HINT": "f32", "A": "b=c"}),
        ("dialect", "a:F16=hermes,b=plain", {"a:F16": "hermes", "b": "plain"}),
        ("log_format", "json", "json"),
    ],
)
def test_values_are_read_from_text(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: object) -> None:
    monkeypatch.setenv(f"FLUID_{name.upper()}", text)
    assert getattr(load_config(), name) == value


def test_a_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(load_config(), "port", 1)  # noqa: B010 - what a type checker forbids too


def test_models_lie_beside_us_or_with_the_user(tmp_path: Path) -> None:
    assert default_model_path().parts[-2:] != (tmp_path.name, "models")
    (tmp_path / "models").mkdir()
    assert default_model_path() == (tmp_path / "models").resolve()
    assert load_config().cache_path == (tmp_path / "models" / "cache").resolve()


def test_a_data_folder_holds_all_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    config = load_config({"data_dir": Path("data")})
    data = tmp_path / "data"
    assert config.data_dir == data
    assert (config.model_path, config.cache_path) == (data / "models", data / "cache")
    assert config.database == f"sqlite:///{(data / 'fluid.db').as_posix()}"
    assert config.meeting_places == (data, data / "models")


def test_models_may_lie_apart_from_the_data_folder(tmp_path: Path) -> None:
    config = load_config({"data_dir": tmp_path / "data", "model_path": tmp_path / "models"})
    assert config.model_path == tmp_path / "models"
    assert config.cache_path == tmp_path / "data" / "cache"  # the models may be write-protected


def test_an_empty_data_folder_or_log_file_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUID_DATA_DIR", "")
    monkeypatch.setenv("FLUID_LOG_FILE", "")
    assert (load_config().data_dir, load_config().log_file) == (None, None)


def test_tables_of_several_sources_add_up() -> None:
    written('[openvino]\nA = "file"\nB = "file"\n')
    assert load_config({"openvino": {"A": "flag"}}).openvino == {"A": "flag", "B": "file"}


def test_variables_may_be_written_in_any_case() -> None:
    written("fluid_port=1002\nexport Fluid_Device='npu'\nport=7\nFLUID_THREADS\n", ".env")
    assert (load_config().port, load_config().device, load_config().threads) == (1002, "NPU", None)


@pytest.mark.parametrize(("name", "text"), [("fluid.toml", "port = 1001\n"), (".env", "FLUID_PORT=1001\n")])
def test_a_file_may_begin_with_a_mark_as_windows_powershell_writes_it(name: str, text: str) -> None:
    written(f"\ufeff{text}", name)
    assert load_config().port == 1001


def test_variables_of_others_are_left_alone() -> None:
    written("PORT=7\nDATABASE_URL=sqlite:///x\nFLUID_NOTHING=1\n", ".env")
    assert load_config() == ServerConfig()


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "abc"),
        ("port", 65536),
        ("port", -1),
        ("max_memory", "lots"),
        ("idle_timeout", -1),
        ("heartbeat", 0),
        ("max_loaded", 0),
        ("parallel", 1000),
        ("context_length", 1),
        ("log_level", "loud"),
        ("log_file_size", "1kB"),
        ("log_file_count", 0),
        ("warm_up", "perhaps"),
    ],
)
def test_a_bad_value_is_named_by_flag_and_variable(name: str, value: object) -> None:
    error = refusal({name: value})
    assert error.param == name
    assert f"--{name.replace('_', '-')} (FLUID_{name.upper()})" in error.message


def test_all_bad_values_are_named() -> None:
    message = refusal({"port": "x", "max_queue": -1}).message
    assert "--port" in message
    assert "--max-queue" in message


def test_nothing_is_said_of_defaults_that_depend_on_a_bad_value() -> None:
    assert "--model-path" not in refusal({"port": 80_000}).message


def test_a_bad_value_in_the_environment_or_file(monkeypatch: pytest.MonkeyPatch) -> None:
    written("port = 'x'\n")
    assert refusal().param == "port"
    monkeypatch.setenv("FLUID_PORT", "y")
    assert "'y'" in refusal().message


def test_properties_in_the_environment_are_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUID_OPENVINO", "HINT")
    assert "KEY=VALUE" in refusal().message


def test_an_unknown_variable_gets_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUID_PROT", "1")
    message = refusal().message
    assert "FLUID_PROT" in message
    assert "FLUID_PORT" in message


@pytest.mark.parametrize("name", ["fluid.toml", ".env"])
def test_a_file_that_is_no_text(name: str) -> None:
    Path(name).write_bytes("port = 1\n".encode("utf-16"))
    assert refusal().param == "config"


@pytest.mark.parametrize("name", ["fluid.toml", ".env"])
def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    written("", name)

    def locked(file: object, *_: object, **__: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))

    monkeypatch.setattr(Path, "read_text", locked)
    monkeypatch.setattr("dotenv.main.open", locked, raising=False)
    assert f"'{name}' cannot be read (permission denied)" in refusal().message


def test_unknown_settings_of_a_file_are_named() -> None:
    written("port = 1\nprot = 2\n[servre]\na = 1\n")
    assert "prot, servre" in refusal().message


def test_a_file_that_is_no_toml() -> None:
    written("port = = 1\n")
    assert "line 1" in refusal().message


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "nope.toml" in refusal(file=Path("nope.toml")).message
    assert refusal(file=tmp_path).param == "config"


def test_a_file_of_the_environment_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLUID_CONFIG", "nope.toml")
    assert "nope.toml" in refusal().message


# --- who may call ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "LOCALHOST", "::1"])
def test_loopback_needs_no_key(host: str) -> None:
    assert load_config({"host": host}).binds_loopback


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example", ""])
def test_a_public_address_needs_a_key(host: str) -> None:
    assert refusal({"host": host}).param == "api_key"
    assert not load_config({"host": host, "api_key": "sesame"}).binds_loopback


def test_an_empty_key_is_none() -> None:
    assert refusal({"host": "0.0.0.0", "api_key": ""}).param == "api_key"


def test_a_key_is_not_shown() -> None:
    assert "sesame" not in repr(load_config({"api_key": "sesame"}))


# --- where things are kept -------------------------------------------------------------------------------------


def test_things_are_kept_with_the_user() -> None:
    config = load_config()
    assert config.store
    assert config.database.startswith("sqlite:///")
    assert config.database.endswith("fluid-server/fluid.db")
    assert Path(config.database.removeprefix("sqlite:///")).is_absolute()


def test_the_database_may_have_the_name_by_which_hosts_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", POSTGRES)
    assert load_config().database == POSTGRES
    written('database_url = "sqlite:///of-the-file.db"')
    assert load_config().database == "sqlite:///of-the-file.db"
    monkeypatch.setenv("FLUID_DATABASE_URL", "sqlite:///ours.db")
    assert load_config().database == "sqlite:///ours.db"
    assert load_config({"database_url": "sqlite://"}).database == "sqlite://"


@pytest.mark.parametrize("name", ["DATABASE_URL", "FLUID_DATABASE_URL"])
def test_another_program_s_database_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "mysql://me:sesame@db.example/shop")
    error = refusal()
    assert error.param == "database_url"
    assert "FLUID_DATABASE_URL" in error.message
    assert "sesame" not in error.message


def test_the_database_s_password_is_not_shown() -> None:
    assert "sesame" not in repr(load_config({"database_url": POSTGRES}))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30d", 2_592_000), ("12h", 43_200), ("90m", 5400), ("1.5 h", 5400), ("7s", 7), ("7", 7), (7, 7), ("0", 0)],
)
def test_a_time_to_live_may_have_a_unit(text: str | int, seconds: float) -> None:
    assert load_config({"store_ttl": text}).store_ttl == seconds


@pytest.mark.parametrize("text", ["30 days", "d", "-1d", "-1", "1h30m"])
def test_other_times_are_refused(text: str) -> None:
    assert refusal({"store_ttl": text}).param == "store_ttl"


def test_the_packaged_program_s_own_models_are_offered_unless_a_folder_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load_config().shipped_models is None
    monkeypatch.setattr("fluid_server.config.sys._MEIPASS", str(tmp_path), raising=False)
    assert load_config().shipped_models == tmp_path / "models"
    assert load_config().model_copy(update={"echo": True}).shipped_models == tmp_path / "models"
    assert load_config({"model_path": tmp_path}).shipped_models is None


# --- what is handed on -----------------------------------------------------------------------------------------


def test_an_exported_configuration_is_read_back_the_same() -> None:
    flags: dict[str, Any] = {"port": 0, "max_memory": "2GB", "allowed_hosts": ["a.example"], "openvino": {"A": "b"}}
    flags |= {"database_url": POSTGRES, "store_ttl": "12h", "store": False}
    config = load_config({**flags, "api_key": "sesame", "echo": True, "idle_timeout": 0})
    export(config)
    assert load_config() == config


def test_workers_get_a_patient_openmp(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    assert worker_environment()["OMP_WAIT_POLICY"] == "passive"
    assert worker_environment()["ORT_DISABLE_TELEMETRY"] == "1"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    assert worker_environment()["OMP_WAIT_POLICY"] == "active"
    assert worker_environment().keys() >= os.environ.keys()


def test_espeak_is_found_where_windows_installs_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    library = tmp_path / "eSpeak NG" / "libespeak-ng.dll"
    monkeypatch.delenv("MISAKI_ESPEAK_LIBRARY", raising=False)
    monkeypatch.setenv("PROGRAMFILES", str(tmp_path))
    monkeypatch.setattr("fluid_server.config.sys.platform", "win32")
    assert "MISAKI_ESPEAK_LIBRARY" not in worker_environment()
    library.parent.mkdir()
    library.touch()
    assert worker_environment()["MISAKI_ESPEAK_LIBRARY"] == str(library)
    monkeypatch.setenv("MISAKI_ESPEAK_LIBRARY", "mine.dll")
    assert worker_environment()["MISAKI_ESPEAK_LIBRARY"] == "mine.dll"
