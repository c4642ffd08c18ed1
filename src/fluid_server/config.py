"""ServerConfig: every default once. A file, then the environment (FLUID_*, .env), then flags.

The only module that reads the environment.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import tempfile
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr, ValidationError, field_validator

from fluid_server import sources, spelling
from fluid_server.errors import ConfigError
from fluid_server.machine import espeak_library
from fluid_server.places import default_model_path, user_folder

ENV_PREFIX = "FLUID_"
DEFAULT_FILE, ENV_FILE = Path("fluid.toml"), Path(".env")
SHARED_URL = "DATABASE_URL"  # the name by which many programs and hosts know it
SECRETS = {"api_key", "database_url"}


class ServerConfig(BaseModel):
    """What the server does where nobody says otherwise. Frozen: made once at the edge, handed down in pieces."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=(), validate_default=True)

    host: str = Field("127.0.0.1", description="address to listen on; a public one needs an API key")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    data_dir: Path | None = Field(
        None, description="folder for all that is written: models, conversations, caches (default: the user's)"
    )
    model_path: Path = Field(
        default_factory=lambda given: default_model_path(given.get("data_dir")),
        description="folder of the models (default: that of --data-dir, ./models where it exists, or the user's)",
    )
    llm_model: str | None = Field(None, description="language model to warm up at the start")
    whisper_model: str | None = Field(None, description="speech model to warm up at the start")
    device: str = Field("AUTO", min_length=2, description="CPU, GPU, NPU or AUTO: where models run")
    warm_up: bool = Field(True, description="load a speech and a language model in the background at the start")
    idle_timeout: float = Field(300, ge=0, description="seconds without a request before a model is unloaded; 0: never")
    load_timeout: float = Field(600, gt=0, description="seconds that loading a model may take")
    max_memory: ByteSize | None = Field(
        None,
        description="memory that all models may use together, such as 8GB (default: 80%% of what is free)",
    )
    max_loaded: int = Field(8, ge=1, description="models held in memory at the same time")
    parallel: int = Field(16, ge=1, le=256, description="requests that one model answers at once")
    max_queue: int = Field(64, ge=0, description="requests that may wait for one model; more get a 429")
    context_length: int | None = Field(
        None, ge=32, description="upper limit of the context in tokens (default: the model's own)"
    )
    threads: int | None = Field(
        None, ge=1, description="CPU threads of each model (default: all physical cores but one)"
    )
    openvino: dict[str, str] = Field(
        default_factory=dict, description="OpenVINO properties, such as INFERENCE_PRECISION_HINT=f32"
    )
    qnn: dict[str, str] = Field(
        default_factory=dict,
        description="options of onnxruntime's QNN provider, such as htp_performance_mode=balanced",
    )
    dialect: dict[str, str] = Field(
        default_factory=dict,
        description="how a model writes tool calls and reasoning, where its template does not tell: MODEL=NAME",
    )
    max_upload: ByteSize = Field(
        ByteSize(1024**3), description="largest audio upload (1 GiB holds an hour of stereo at 48 kHz and 24 bits)"
    )
    max_body: ByteSize = Field(ByteSize(32 * 1024**2), description="largest request body that is not an upload")
    max_audio_seconds: float = Field(4 * 3600, gt=0, description="longest audio, in seconds after decoding")
    realtime_idle: float = Field(
        30, gt=0, description="seconds without sound after which a realtime session gives its place in the model back"
    )
    max_choices: int = Field(16, ge=1, description="largest n of a request")
    heartbeat: float = Field(10, gt=0, description="seconds between the comments that keep an open stream alive")
    shutdown_grace: float = Field(1, ge=0, description="seconds that running requests get to finish at the end")
    api_key: SecretStr | None = Field(None, description="key that clients must send; better by FLUID_API_KEY")
    allowed_origins: list[str] = Field(
        default_factory=list,
        description="web origins, besides loopback, that may call (such as https://app.example)",
    )
    allowed_hosts: list[str] = Field(
        default_factory=list, description="host names, besides loopback and --host, that clients may use"
    )
    request_timeout: float = Field(
        0,
        ge=0,
        description="seconds that a request may take, waiting included; 0: no limit (X-Request-Timeout is one too)",
    )
    pin: list[str] = Field(
        default_factory=list,
        description="models that are loaded at the start and never unloaded to make room or when idle",
    )
    auto_download: bool = Field(
        False, description="fetch a known model (see list --available) from the Hub when a request names it"
    )
    offline: bool = Field(False, description="never use the network: nothing is looked up or downloaded")
    max_downloads: int = Field(2, ge=1, le=16, description="downloads that run at the same time")
    download_stall: float = Field(
        30, gt=0, description="seconds without a byte after which a download's connection is made anew"
    )
    download_retries: int = Field(
        6, ge=0, description="tries in a row without a byte after which a download fails (it can be resumed)"
    )
    store: bool = Field(True, description="keep conversations, responses, and chat completions that ask for it")
    database_url: SecretStr | None = Field(
        None,
        description="where they are kept: sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME; the variable "
        "DATABASE_URL is read too (default: fluid.db in the data folder)",
    )
    store_ttl: float = Field(
        30 * 86400,
        ge=0,
        description="how long they are kept after their last change, in seconds or as 90m, 12h, 30d; 0: for ever "
        "(default: 30d)",
    )
    store_max_size: ByteSize = Field(
        ByteSize(10**9), ge=10**6, description="how much is kept; beyond it the longest unused goes"
    )
    echo: bool = Field(False, description="offer the built-in model 'echo', which repeats what it is told")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="how much to log")
    log_format: Literal["text", "json"] = Field("text", description="logs for people or for machines")
    log_file: Path | None = Field(None, description="file that the log is written to as well (default: none)")
    log_file_size: ByteSize = Field(
        ByteSize(10 * 1024**2), ge=10**4, description="how large the log file grows before a new one is begun"
    )
    log_file_count: int = Field(5, ge=1, le=1000, description="older log files that are kept, as FILE.1 and so on")
    reload: bool = Field(False, description="restart when the source changes (for development)")

    @field_validator("allowed_origins", "allowed_hosts", "pin", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return spelling.parts(value)

    @field_validator("openvino", "qnn", "dialect", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        return spelling.pairs(value)

    @field_validator("store_ttl", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        return spelling.seconds(value)

    @field_validator("allowed_origins", mode="after")
    @classmethod
    def _as_browsers_write_them(cls, value: list[str]) -> list[str]:
        return [origin.lower().rstrip("/") for origin in value]

    @field_validator("api_key", mode="after")
    @classmethod
    def _some_key(cls, value: SecretStr | None) -> SecretStr | None:
        key = spelling.key(value.get_secret_value()) if value is not None else None
        return SecretStr(key) if key else None

    @field_validator("database_url", mode="after")
    @classmethod
    def _known_database(cls, value: SecretStr | None) -> SecretStr | None:
        url = spelling.database(value.get_secret_value()) if value is not None else None
        return SecretStr(url) if url else None

    @field_validator("data_dir", "log_file", mode="after")
    @classmethod
    def _wherever_we_are(cls, value: Path | None) -> Path | None:
        """Workers are told too. An empty one is none."""
        return value.absolute() if value is not None and value != Path() else None

    @field_validator("device", mode="after")
    @classmethod
    def _upper(cls, value: str) -> str:
        return value.upper()

    @property
    def cache_path(self) -> Path:
        """Where engines keep what they compiled for a device."""
        return (self.data_dir or self.model_path) / "cache"

    @property
    def meeting_places(self) -> tuple[Path, ...]:
        """The folders in which a server says where it is, the most particular first."""
        return (self.data_dir, self.model_path) if self.data_dir else (self.model_path,)

    @property
    def shipped_models(self) -> Path | None:
        """The models inside the packaged program, offered besides; none where a setting names the models folder."""
        inside = getattr(sys, "_MEIPASS", None)  # PyInstaller's: where the program's files are
        return Path(inside) / "models" if inside and "model_path" not in self.model_fields_set else None

    @property
    def database(self) -> str:
        """The URL of the database of what is kept."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{((self.data_dir or user_folder()) / 'fluid.db').as_posix()}"

    @property
    def binds_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine itself: ``localhost`` or a loopback address."""
    try:
        return host.lower() == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _config_file() -> Path:
    return Path(os.environ.get(f"{ENV_PREFIX}CONFIG", DEFAULT_FILE))


def load_config(flags: dict[str, Any] | None = None, *, file: Path | None = None) -> ServerConfig:
    """Read the file, the environment and ``flags``, the later winning. Errors: ConfigError naming the setting."""
    if file is not None:
        os.environ[f"{ENV_PREFIX}CONFIG"] = str(file)
    if f"{ENV_PREFIX}CONFIG" in os.environ and not _config_file().is_file():
        raise ConfigError(f"The configuration file '{_config_file()}' does not exist.", param="config")
    try:
        config = ServerConfig(**_given(flags or {}))
    except ValidationError as error:
        raise ConfigError(_explain(error), param=_setting(error)) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The configuration cannot be read: {error}", param="config") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The configuration is not UTF-8 ('.env' or '{_config_file()}'). In PowerShell, write it with "
            "Set-Content -Encoding utf8.",
            param="config",
        ) from error
    except OSError as error:
        reason = (error.strerror or "it cannot be found").lower()
        raise ConfigError(
            f"The configuration in '{error.filename}' cannot be read ({reason}). Give this user the right to, or start "
            "in another folder.",
            param="config",
        ) from error
    _reject_unknown_settings()
    _reject_unknown_variables()
    return _checked(config)


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """Flags come first, then the environment, then .env, then the file; last what is not ours alone."""
    return sources.layered(
        flags,
        sources.in_variables(os.environ, ENV_PREFIX),
        sources.in_env_file(ENV_FILE, ENV_PREFIX),
        sources.in_toml(_config_file()),
        {"database_url": url} if (url := os.environ.get(SHARED_URL)) else {},
    )


def _setting(error: ValidationError) -> str:
    return str(error.errors()[0]["loc"][0])


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        if problem["type"] == "default_factory_not_called":  # a default that depends on what is wrong already
            continue
        name = str(problem["loc"][0])
        flag, variable = "--" + name.replace("_", "-"), ENV_PREFIX + name.upper()
        given = "" if name in SECRETS else f" (got {problem['input']!r})"
        lines.append(f"{flag} ({variable}): {problem['msg']}{given}")
    return "The configuration is not valid: " + "; ".join(lines)


def _reject_unknown_settings() -> None:
    unknown = sources.in_toml(_config_file()).keys() - ServerConfig.model_fields.keys()
    if unknown:
        raise ConfigError(f"The configuration file has unknown settings: {', '.join(sorted(unknown))}.", param="config")


def _reject_unknown_variables() -> None:
    known = {ENV_PREFIX + name.upper() for name in ("config", *ServerConfig.model_fields)}
    for name in os.environ:
        if name.upper().startswith(ENV_PREFIX) and name.upper() not in known:
            close = get_close_matches(name.upper(), known, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise ConfigError(f"The environment variable {name} is no setting of this program.{hint}", param=name)


def _checked(config: ServerConfig) -> ServerConfig:
    if not config.binds_loopback and config.api_key is None:
        raise ConfigError(
            f"Listening on {config.host} lets other machines in, and no API key is set. "
            "Set FLUID_API_KEY, or listen on 127.0.0.1.",
            param="api_key",
        )
    return config


def export(config: ServerConfig) -> None:
    """Put a configuration into the environment, for the process that ``--reload`` starts."""
    values = config.model_dump(mode="json", exclude_none=True, exclude=SECRETS)
    for name, value in values.items():
        os.environ[ENV_PREFIX + name.upper()] = spelling.written(value)
    for name in SECRETS:
        secret: SecretStr | None = getattr(config, name)
        if secret is not None:
            os.environ[ENV_PREFIX + name.upper()] = secret.get_secret_value()


def keep_temporary_files_in(folder: Path) -> None:
    """Have all temporary files made there from now on, those of workers too."""
    for name in ("TMPDIR", "TEMP", "TMP"):
        os.environ[name] = str(folder)
    tempfile.tempdir = None  # it is looked for again


def worker_environment() -> dict[str, str]:
    """The environment of a worker: ours, with what its engines want set before they are imported.

    ``OMP_WAIT_POLICY=passive``: libgomp's spinning collapses when other work shares the cores (measured: from
    117 to 0.8 tokens a second on two cores with two busy neighbours). ``MISAKI_ESPEAK_LIBRARY``: where OpenVINO's
    Kokoro finds espeak-ng. ``ORT_DISABLE_TELEMETRY``: from 1.29 on, onnxruntime tells its makers of each process, and
    keeps an id of the machine in the temporary folder; nobody is asked, so it is off whatever was set.
    """
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    environment.setdefault("OMP_WAIT_POLICY", "passive")
    if espeak := espeak_library(environment):
        environment.setdefault("MISAKI_ESPEAK_LIBRARY", str(espeak))
    if sys.platform == "win32":
        environment.setdefault("KMP_BLOCKTIME", "0")
    return environment
