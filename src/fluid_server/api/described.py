"""Models and downloads as clients see them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from fluid_server.api.schemas.answers import ErrorDetail
from fluid_server.api.schemas.states import DownloadBody, DownloadFile, ModelBody
from fluid_server.catalog.presets import preset
from fluid_server.content.dialects import skills
from fluid_server.managers.arrivals import ON_THE_WAY
from fluid_server.managers.download_record import failure_of
from fluid_server.managers.memory import idle_since, memory_of
from fluid_server.managers.runtime_manager import RuntimeManager
from fluid_server.managers.slot import Slot
from fluid_server.managers.visitor import FOR_EVER
from fluid_server.types import Download, Format, Kind, ModelSpec


def model_body(manager: RuntimeManager, spec: ModelSpec, *, download: str | None = None) -> ModelBody:
    """A model with what it is and what it is doing."""
    slot = manager.slot_at(spec) or Slot(spec, keep_alive=manager.default_keep_alive)
    info = slot.info
    state = "downloading" if download else "broken" if spec.problem else str(slot.state)
    return ModelBody(
        id=spec.id,
        created=int(spec.modified),
        aliases=list(spec.aliases),
        kind=spec.kind,
        format=spec.format,
        capabilities=sorted(spec.abilities | skills(spec.chat_template, manager.dialect(spec))),
        state=state,
        problem=spec.problem or (slot.failure.message if slot.failure else None),
        runtime=info.runtime if info else None,
        device=info.device if info else None,
        context_length=(info.context_length if info else None) or spec.context_length,
        quantization=spec.quantization,
        architecture=spec.architecture,
        size_bytes=spec.size_bytes,
        memory_bytes=memory_of(slot),
        memory_estimate_bytes=manager.estimate(spec).total,
        pinned=slot.pinned,
        leases=slot.leases,
        queued=slot.turnstile.waiting,
        keep_alive=None if slot.keep_alive == FOR_EVER else slot.keep_alive,
        expires_at=_expires(slot),
        download=download,
        notes=[*slot.notes, *(info.notes if info else ())],
    )


def arriving(manager: RuntimeManager, specs: Sequence[ModelSpec]) -> Iterator[ModelBody]:
    """The models that are on their way here, which no request can use yet."""
    here = {name for spec in specs for name in (spec.id, *spec.aliases)}
    for download in manager.downloads.downloads():
        if download.state in ON_THE_WAY and download.name not in here:
            known = preset(download.name)
            spec = ModelSpec(
                id=download.name,
                format=known.format if known else Format.UNKNOWN,
                kind=known.kind if known else Kind.UNKNOWN,
                path=manager.library.folder,
                size_bytes=download.bytes_total,
                modified=download.created,
            )
            yield model_body(manager, spec, download=download.id)


def download_body(download: Download) -> DownloadBody:
    """A download as it stands."""
    error = None
    if download.error_message is not None:
        failure = failure_of(download.error_code, download.error_message)
        error = ErrorDetail(message=failure.message, type=failure.type, param=None, code=failure.code)
    return DownloadBody(
        id=download.id,
        name=download.name,
        repo=download.repo,
        revision=download.revision,
        state=download.state,
        model=download.model,
        bytes_done=download.bytes_done,
        bytes_total=download.bytes_total,
        rate=round(download.rate, 1),
        eta_seconds=None if download.eta_seconds is None else round(download.eta_seconds, 1),
        files=[DownloadFile(path=file.path, size=file.size, done=file.done) for file in download.files],
        note=download.note,
        error=error,
        created=download.created,
        ended=download.ended,
    )


def _expires(slot: Slot) -> float | None:
    since = idle_since(slot)
    if since is None or slot.keep_alive == FOR_EVER:
        return None
    return round(time.time() + since + slot.keep_alive - time.monotonic(), 1)
