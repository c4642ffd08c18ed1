"""Settings as a service keeps them: as flags that give them again, and as secrets in a file."""

from __future__ import annotations

import stat
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from dotenv import dotenv_values
from pydantic import SecretStr

from fluid_server.cli import service_plan
from fluid_server.cli.main import parser
from fluid_server.cli.service_files import HEADER, end_of, keep_secrets, remembered, with_secrets
from fluid_server.cli.service_plan import Places, Scope, flags_of, lies_in_a_cache, name_of_service, plan_of, secrets_of
from fluid_server.config import SECRETS, ServerConfig, load_config
from fluid_server.errors import ConfigError, FluidError

WISHES: list[dict[str, Any]] = [
    {},
    {"port": 9000, "host": "::1"},
    {"warm_up": False, "echo": True},
    {"max_memory": "8GB", "max_upload": "3MiB"},
    {"idle_timeout": 0.5, "store_ttl": "12h"},
    {"pin": ["one", "two words"], "allowed_origins": ["https://a.example"]},
    {"openvino": {"INFERENCE_PRECISION_HINT": "f32", "EMPTY": ""}},
    {"device": "GPU.1", "llm_model": "-odd", "log_level": "debug"},
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_flags_give_the_same_settings_again(wish: dict[str, Any]) -> None:
    config = ServerConfig(**wish)
    given = {name for name in wish if name in ServerConfig.model_fields}
    typed = vars(parser().parse_args(["serve", *flags_of(config, given)]))
    again = ServerConfig(**{name: typed[name] for name in given})
    assert {name: getattr(again, name) for name in given} == {name: getattr(config, name) for name in given}


@pytest.mark.parametrize("name", sorted(ServerConfig.model_fields))
def test_no_secret_is_a_flag(name: str) -> None:
    config = ServerConfig(api_key=SecretStr("sesame"), database_url=SecretStr("sqlite:///x"))
    flags = flags_of(config, {name})
    assert not any("sesame" in flag or "sqlite" in flag for flag in flags)
    assert not flags or name not in SECRETS


def test_paths_are_whole_since_a_service_runs_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert flags_of(ServerConfig(model_path=Path("m")), {"model_path"}) == [f"--model-path={tmp_path / 'm'}"]


def test_what_is_there_for_one_run_alone_is_no_program_for_a_service() -> None:
    assert lies_in_a_cache(Path("/home/me/.cache/uv/archive-v0/abc"))
    assert not lies_in_a_cache(Path("/home/me/.local/share/uv/tools/fluid-server"))


@pytest.fixture
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own Python may lie in a cache."""
    monkeypatch.setattr(service_plan, "CACHES", set())


@pytest.mark.usefixtures("anywhere")
def test_a_user_s_service_has_the_folder_that_was_found_and_a_log(tmp_path: Path) -> None:
    (config := ServerConfig()).model_fields_set.clear()
    places = Places(definition="x", settings=tmp_path, log_file=tmp_path / "logs" / "x.log")
    plan = plan_of(config, "x", Scope.USER, None, places)
    assert plan.flags == (f"--model-path={config.model_path}", f"--log-file={tmp_path / 'logs' / 'x.log'}")
    assert (plan.folder, plan.environment) == (tmp_path, tmp_path / ".env")


@pytest.mark.usefixtures("anywhere")
def test_a_packaged_program_s_service_still_offers_the_program_s_own_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fluid_server.config.sys._MEIPASS", str(tmp_path), raising=False)
    monkeypatch.chdir(tmp_path)
    places = Places(definition="x", settings=tmp_path)
    assert plan_of(load_config(), "x", Scope.USER, None, places).flags == ()
    (tmp_path / "models").mkdir()  # the folder found here is not found from where a service runs
    assert plan_of(load_config(), "x", Scope.USER, None, places).flags == (f"--model-path={tmp_path / 'models'}",)


@pytest.mark.usefixtures("anywhere")
def test_a_system_s_service_writes_into_its_own_folder_unless_another_is_named(tmp_path: Path) -> None:
    places = Places(definition="x", settings=tmp_path, data=tmp_path / "data")
    (config := ServerConfig()).model_fields_set.clear()
    assert plan_of(config, "x", Scope.SYSTEM, None, places).flags == (f"--data-dir={tmp_path / 'data'}",)
    named = config.model_copy(update={"model_path": tmp_path / "models"})
    plan = plan_of(named, "x", Scope.SYSTEM, None, places)
    assert f"--model-path={tmp_path / 'models'}" in plan.flags
    assert tmp_path / "models" in plan.writable


@pytest.mark.parametrize("value", ["plain", 'a"b', "a\\b", "a\\", "a'b", "a b", "#a", "a=b", "$HOME", "%h", "\\n"])
def test_a_secret_is_read_as_it_was_given(value: str) -> None:
    text = with_secrets("", {"FLUID_API_KEY": value})
    assert dotenv_values(stream=StringIO(text)) == {"FLUID_API_KEY": value}


@pytest.mark.parametrize("value", ["${HOME}", "a\nb", "a\0b"])
def test_a_secret_that_a_file_would_change_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="FLUID_DATABASE_URL cannot be kept"):
        secrets_of(ServerConfig(database_url=SecretStr(f"sqlite:///{value}")))


def test_other_lines_of_the_file_stay() -> None:
    text = "# mine\nHTTPS_PROXY=http://p\nexport fluid_api_key = old\nFLUID_API_KEYS=other\n"
    assert with_secrets(text, {"FLUID_API_KEY": "new"}) == (
        '# mine\nHTTPS_PROXY=http://p\nFLUID_API_KEYS=other\nFLUID_API_KEY="new"\n'
    )
    assert with_secrets("", {}) == HEADER
    assert dotenv_values(stream=StringIO(HEADER)) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights: those of the user's folder")
def test_the_file_of_secrets_is_its_owner_s_whatever_it_was(tmp_path: Path) -> None:
    file = tmp_path / "new" / ".env"
    keep_secrets(file, {"FLUID_API_KEY": "a"})
    file.chmod(0o644)
    keep_secrets(file, {})
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert 'FLUID_API_KEY="a"' in file.read_text(encoding="utf-8")
    assert [one.name for one in file.parent.iterdir()] == [".env"]


def test_where_a_file_cannot_be_written_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FluidError, match="cannot be written"):
        keep_secrets(tmp_path / "file" / ".env", {})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "x"}', "null", "\x00"])
def test_what_is_no_record_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "installed.json").write_text(text, encoding="utf-8")
    assert remembered(tmp_path) is None


@pytest.mark.parametrize("name", ["fluid-server", "a", "A.b_c-9", "x" * 64])
def test_names_that_every_system_takes(name: str) -> None:
    assert name_of_service(name) == name


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "a\\b", "a'b", "é", "x" * 65, "a\n"])
def test_names_that_one_does_not_take(name: str) -> None:
    with pytest.raises(ConfigError, match="no name for a service"):
        name_of_service(name)


def test_the_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("".join(f"{number}\n" for number in range(9)), encoding="utf-8")
    assert end_of(tmp_path / "log", 2) == "7\n8"
    assert end_of(tmp_path / "none", 2) == ""
