"""What there is and what it is doing: models, downloads, the server itself."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from fluid_server.api.schemas.answers import ErrorDetail


class ModelBody(BaseModel):
    """One model: OpenAI's four fields, then what it is and what it is doing. Sizes are bytes.

    ``memory_bytes`` is measured, ``memory_estimate_bytes`` what it is expected to take with its whole context.
    ``expires_at`` is when it is unloaded if nobody asks for it before, in epoch seconds.
    """

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: Literal["local"] = "local"
    aliases: list[str]
    kind: str
    format: str
    capabilities: list[str]
    state: str
    problem: str | None
    runtime: str | None
    device: str | None
    context_length: int | None
    quantization: str | None
    architecture: str | None
    size_bytes: int
    memory_bytes: int
    memory_estimate_bytes: int
    pinned: bool
    leases: int
    queued: int
    keep_alive: float | None
    expires_at: float | None
    download: str | None
    notes: list[str]


class ModelDeleted(BaseModel):
    """DELETE /v1/models/{model}."""

    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True


class DownloadFile(BaseModel):
    """One file of a download, in bytes."""

    path: str
    size: int
    done: int


class DownloadBody(BaseModel):
    """A download. ``rate`` is bytes a second; ``model`` is the model's id once it is complete; times are epoch seconds.

    ``state``: queued, downloading, verifying, installing, paused, completed, failed or cancelled.
    """

    id: str
    object: Literal["download"] = "download"
    name: str
    repo: str
    revision: str
    state: str
    model: str | None
    bytes_done: int
    bytes_total: int
    rate: float
    eta_seconds: float | None
    files: list[DownloadFile]
    note: str | None
    error: ErrorDetail | None
    created: float
    ended: float | None


class DownloadList(BaseModel):
    """GET /v1/downloads."""

    object: Literal["list"] = "list"
    data: list[DownloadBody]


class ModelList(BaseModel):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelBody]


class Architecture(BaseModel):
    """What the machine is and what this Python was built for (they differ under emulation)."""

    machine: str
    process: str
    system: str
    python: str


class RuntimeState(BaseModel):
    """Whether a runtime's engine imports here, on which devices, and why not."""

    available: bool
    version: str | None
    devices: list[str]
    reason: str | None


class WorkerCounters(BaseModel):
    """What a worker has done since it started, by its own count."""

    running: int
    waiting: int
    completed: int
    cancelled: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    steps: int


class ModelState(BaseModel):
    """One model: absent, loading, warming, ready, draining, failed or broken; then its process, if it has one."""

    state: str
    problem: str | None = None
    retry_in_seconds: float | None = None
    pid: int | None = None
    runtime: str | None = None
    device: str | None = None
    memory_bytes: int = 0
    load_seconds: float | None = None
    leases: int = 0
    queued: int = 0
    pinned: bool = False
    counters: WorkerCounters | None = None


class Health(BaseModel):
    """GET /health. ``runtimes`` is null while they are being looked for, right after the start."""

    status: Literal["warming up", "ready", "shutting down"]
    version: str
    uptime_seconds: float
    architecture: Architecture
    runtimes: dict[str, RuntimeState] | None
    models: dict[str, ModelState]
