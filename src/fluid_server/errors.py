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
│   └── ShuttingDown
├── OutOfMemory               the model does not fit
├── EngineFailed              the runtime failed on this request
│   └── WorkerDied            the model's process ended in the middle of it
├── ClientGone                nobody waits for the answer any more
└── ConfigError               the server was started with settings that cannot work
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
        return type(self), (self.message,), self.__dict__


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


class ShuttingDown(Unavailable):
    """The server is about to end."""

    code = "shutting_down"


class OutOfMemory(FluidError):
    """The model does not fit into the memory that the server may use."""

    code = "insufficient_memory"


class EngineFailed(FluidError):
    """The runtime failed on this request."""

    code = "engine_failed"


class WorkerDied(EngineFailed):
    """The model's process ended in the middle of the request."""

    code = "worker_died"


class ClientGone(FluidError):
    """The client has closed the connection; this is for the log alone."""

    code = "client_gone"


class ConfigError(FluidError):
    """The server was started with settings that cannot work."""

    type = "invalid_request_error"
    code = "invalid_configuration"
