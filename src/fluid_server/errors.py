"""The failure tree. Each class says what went wrong in OpenAI's words; `api/errors.py` alone knows the status.

FluidError
├── InvalidRequest            the client sent something that cannot be served
│   ├── UnsupportedField      a field of the contract that this server or runtime refuses by name
│   ├── ContextTooLong        prompt and completion do not fit into the model's context
│   ├── UnreadableAudio       the upload is no sound that we can decode
│   └── TooLarge              an upload, prompt or body over its limit
├── ModelNotFound             no model of that name
├── AbilityMissing            the model exists and cannot do this
├── Unauthorized, Forbidden   no or a wrong key; an origin or host that is not let in
├── QueueFull                 too many requests wait for this model
├── Unavailable               not now: try again
│   ├── ModelFailed           the model did not load; its cool-down runs
│   ├── ModelDownloading      the model is on its way here; ``job`` says which download it is
│   └── ShuttingDown
├── Conflict                  what was asked does not go with the state that something is in
│   └── StoreOff              the server keeps nothing, by choice
├── NotStored                 no conversation, response or stored completion of that id
├── StoreFailed               the database, or the way to it
├── DeadlineExceeded          the time that the client or the server gave the request is over
├── OutOfMemory               the model does not fit
├── OutOfDisk                 the download does not fit
├── EngineFailed              the runtime failed on this request
│   └── WorkerDied            the model's process ended in the middle of it
├── HubError                  the Hugging Face Hub, or the way to it
│   ├── RepositoryNotFound    no such repository, revision or file (or none that this token may see)
│   ├── RepositoryGated       its terms must be accepted, or asked for, on the Hub first
│   ├── HubTokenRejected      the Hub does not take the token
│   ├── HubUnreachable        no network, no such host, or the Hub does not answer
│   ├── Offline               the offline switch is on
│   └── DownloadDamaged       what came is not what the Hub says it is
├── DownloadNotFound          no download of that id
├── ClientGone                nobody waits for the answer any more
├── ConfigError               the server was started with settings that cannot work
└── CannotStart               the machine is not as the server needs it; each kind has its own exit code
    ├── PortUnusable          the address or port cannot be listened on
    ├── FolderUnusable        a folder or file that must be written cannot be
    ├── DiskFull              there is no room for the little that is needed at once
    └── ParentGone            the process that the server is to end with has ended already
"""

from __future__ import annotations

from typing import Any


class FluidError(Exception):
    """Any failure that a person or client is told about. ``message`` says what to do next."""

    type = "server_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or type(self).code
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        """Failures cross the pipe between worker and server, keyword fields included."""
        return _rebuilt, (type(self), self.message), self.__dict__


class InvalidRequest(FluidError):
    """The client sent something that cannot be served; ``param`` names the field."""

    type = "invalid_request_error"
    code = "invalid_value"


class UnsupportedField(InvalidRequest):
    """A field of OpenAI's contract that is refused by name rather than ignored."""

    code = "unsupported_parameter"


class ContextTooLong(InvalidRequest):
    """Prompt and completion do not fit into the model's context."""

    code = "context_length_exceeded"


class UnreadableAudio(InvalidRequest):
    """The uploaded file is no sound that we can decode."""

    code = "invalid_audio"


class TooLarge(InvalidRequest):
    """An upload, prompt or body over its configured limit."""

    code = "too_large"


class ModelNotFound(FluidError):
    """No model of that name is in the catalog."""

    type = "invalid_request_error"
    code = "model_not_found"


class AbilityMissing(FluidError):
    """The model exists and cannot do what was asked."""

    type = "invalid_request_error"
    code = "model_not_capable"


class Unauthorized(FluidError):
    """No API key, or a wrong one."""

    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(FluidError):
    """An origin or host that is not let in."""

    type = "permission_error"
    code = "forbidden"


class QueueFull(FluidError):
    """Too many requests wait for this model already."""

    type = "rate_limit_error"
    code = "queue_full"


class Unavailable(FluidError):
    """Not now: try again after ``retry_after`` seconds."""

    code = "unavailable"


class ModelFailed(Unavailable):
    """The model did not load and rests before the next try."""

    code = "model_load_failed"


class ModelDownloading(Unavailable):
    """The model is on its way here. ``job`` is the id of its download."""

    code = "model_downloading"

    def __init__(self, message: str, *, job: str, retry_after: float, param: str | None = "model") -> None:
        super().__init__(message, param=param, retry_after=retry_after)
        self.job = job


class ShuttingDown(Unavailable):
    """The server is about to end."""

    code = "shutting_down"


class Conflict(FluidError):
    """What was asked does not go with the state that something is in: a model in use cannot be deleted."""

    type = "invalid_request_error"
    code = "conflict"


class StoreOff(Conflict):
    """The server keeps nothing, by choice (``--no-store``)."""

    code = "store_off"


class NotStored(FluidError):
    """No conversation, item, response or stored completion of that id, or no longer."""

    type = "invalid_request_error"
    code = "not_found"


class StoreFailed(FluidError):
    """The database of what is kept failed. ``retry_after`` is set where the same may work soon."""

    code = "store_failed"


class DeadlineExceeded(FluidError):
    """The time that the client or the server gave the request is over."""

    code = "deadline_exceeded"


class OutOfMemory(FluidError):
    """The model does not fit into the memory that the server may use."""

    code = "insufficient_memory"


class OutOfDisk(FluidError):
    """The download does not fit onto the disk."""

    code = "insufficient_disk_space"


class EngineFailed(FluidError):
    """The runtime failed on this request."""

    code = "engine_failed"


class WorkerDied(EngineFailed):
    """The model's process ended in the middle of the request."""

    code = "worker_died"


class HubError(FluidError):
    """The Hugging Face Hub failed. ``retry_after`` is set where the same may work later."""

    code = "hub_error"


class RepositoryNotFound(HubError):
    """No such repository, revision or file, or none that the token may see."""

    type = "invalid_request_error"
    code = "repository_not_found"


class RepositoryGated(HubError):
    """The repository's terms must be accepted on the Hub first."""

    type = "permission_error"
    code = "repository_gated"


class HubTokenRejected(HubError):
    """The Hub does not take the token."""

    type = "permission_error"
    code = "hub_token_rejected"


class HubUnreachable(HubError):
    """No network, no such host, or the Hub does not answer."""

    code = "hub_unreachable"


class Offline(HubError):
    """The offline switch is on: nothing is fetched."""

    code = "offline"


class DownloadDamaged(HubError):
    """What came is not what the Hub says it is."""

    code = "download_damaged"


class DownloadNotFound(FluidError):
    """No download of that id."""

    type = "invalid_request_error"
    code = "download_not_found"


class ClientGone(FluidError):
    """The client has closed the connection; this is for the log alone."""

    code = "client_gone"


class ConfigError(FluidError):
    """The server was started with settings that cannot work."""

    type = "invalid_request_error"
    code = "invalid_configuration"


class CannotStart(FluidError):
    """The machine is not as the server needs it, though nothing is wrong with the settings themselves."""

    code = "cannot_start"


class PortUnusable(CannotStart):
    """The address or port cannot be listened on: somebody else has it, or it needs rights."""

    code = "port_unusable"


class FolderUnusable(CannotStart):
    """A folder or file that the server was told to write cannot be written."""

    code = "folder_unusable"


class DiskFull(CannotStart):
    """There is no room for the little that the server writes at once."""

    code = "disk_full"


class ParentGone(CannotStart):
    """The process that the server is to end with has ended already."""

    code = "parent_gone"


def _rebuilt(kind: type[FluidError], message: str) -> FluidError:
    """A failure as it comes out of the pipe: its fields follow as state, so no class's own arguments are needed."""
    error = kind.__new__(kind)
    Exception.__init__(error, message)
    return error
