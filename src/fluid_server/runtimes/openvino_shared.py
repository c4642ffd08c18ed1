"""What all OpenVINO runtimes need: a quiet import, checked devices, and the properties of a pipeline."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from fluid_server.errors import EngineFailed
from fluid_server.machine import linux_says_amx
from fluid_server.runtimes.base import plain_reason, spare_threads
from fluid_server.types import RuntimeOptions

COMPILED_DEVICES = ("GPU", "NPU")  # a compiled-model cache pays there; on CPU it was measured to gain nothing


def import_genai() -> Any:
    """Import openvino_genai without its import-time telemetry. Errors: EngineFailed where it has no wheel."""
    _import_little()
    try:
        import openvino_genai
    except ImportError as error:
        raise EngineFailed(f"openvino-genai cannot be imported here: {plain_reason(error)}.") from error
    return openvino_genai


def _import_little() -> None:
    """OpenVINO goes without packages that are absent; None in their place is absence.

    It sends an event at every import unless openvino_telemetry is. And its converters of other formats, which nothing
    here asks for, take a quarter of the time of its import.
    """
    modules: dict[str, Any] = sys.modules
    modules.setdefault("openvino_telemetry", None)
    modules.setdefault("openvino.tools.ovc", None)


def devices() -> list[str]:
    """The devices that OpenVINO finds on this machine, such as ["CPU", "GPU", "NPU"]."""
    _import_little()
    import openvino

    return [str(device) for device in openvino.Core().available_devices]


def properties(options: RuntimeOptions) -> dict[str, Any]:
    """Properties for a pipeline's constructor: threads, cache, and what the user configured."""
    chosen: dict[str, Any] = {}
    if options.device == "CPU":
        threads = options.threads or spare_threads()
        chosen["INFERENCE_NUM_THREADS"] = str(threads)
        if threads == 1 and _may_have_amx():
            chosen["INFERENCE_PRECISION_HINT"] = "f32"
    if options.cache_dir and options.device.split(".")[0] in COMPILED_DEVICES:
        options.cache_dir.mkdir(parents=True, exist_ok=True)
        chosen["CACHE_DIR"] = str(options.cache_dir)
    return {**chosen, **options.properties}


def _may_have_amx() -> bool:
    """Whether this CPU may have AMX: Linux says so, or OpenVINO says bf16 and fp16, as of all that do and few others.

    With one thread OpenVINO 2026.4.1 divides by zero there while it compiles a language model for bf16, and its process
    is killed by SIGFPE: seen on a Xeon with AMX; with two threads, with f16 and with f32 it works. A CPU with bf16 and
    no AMX (an EPYC with AVX512_BF16) compiles it with one thread too, and is 1.4 to 1.6 times as fast as with f32.
    """
    import openvino

    return linux_says_amx() or {"BF16", "FP16"} <= set(openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))


def kv_cache_bytes(bytes_per_token: int | None, configured: Mapping[str, str], device: str) -> int | None:
    """Bytes that one token takes in the KV cache, from its size at 2 bytes a value.

    The CPU plugin stores 8-bit values with a scale and zero point for each group unless told otherwise, the
    others 16-bit ones.
    """
    if bytes_per_token is None:
        return None
    precision = configured.get("KV_CACHE_PRECISION", "u8" if device == "CPU" else "f16").lower()
    factor = {"f32": 2.0, "f16": 1.0, "bf16": 1.0, "u8": 0.57, "i8": 0.57, "u4": 0.32}.get(precision, 1.0)
    return max(1, round(bytes_per_token * factor))
