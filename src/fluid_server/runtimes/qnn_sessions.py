"""onnxruntime's sessions: on the CPU, or on Qualcomm's NPU through onnxruntime-qnn's plug-in provider."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.base import plain_reason, spare_threads
from fluid_server.runtimes.qnn_chipset import this_machine, without_npu
from fluid_server.types import RuntimeOptions

HALVES = ("encoder", "decoder")
PROVIDER = "QNNExecutionProvider"
ERRORS_ONLY = 3
# The NPU at full clock while it works, the slowest and best compilation (it is kept), floats as float16.
NPU_OPTIONS: Mapping[str, str] = {
    "htp_performance_mode": "burst",
    "htp_graph_finalization_optimization_mode": "3",
    "enable_htp_fp16_precision": "1",
}
SIMULATOR_OPTIONS = frozenset({"soc_model", "htp_arch"})  # name the chip that is simulated, or compiled for


def import_onnxruntime() -> Any:
    """Errors: EngineFailed where it has no wheel."""
    try:
        import onnxruntime
    except ImportError as error:
        raise EngineFailed(f"onnxruntime cannot be imported here: {plain_reason(error)}.") from error
    onnxruntime.disable_telemetry_events()  # on Windows there is no other switch; elsewhere worker_environment has it
    onnxruntime.set_default_logger_severity(ERRORS_ONLY)
    return onnxruntime


def devices() -> list[str]:
    """NPU where the provider finds one, and the CPU, which runs portable graphs. Errors: ImportError, RuntimeError."""
    import onnxruntime

    return ["NPU", "CPU"] if _npu(onnxruntime) is not None else ["CPU"]


def remark() -> str | None:
    """Why there is no NPU here; None where there is one."""
    import onnxruntime

    if _npu(onnxruntime) is not None:
        return None
    return f"no NPU: {without_npu(this_machine(), plug_in=_plug_in() is not None)}"


@dataclass(frozen=True, slots=True)
class Sessions:
    """Both halves of a model, loaded. Any number of threads may run them."""

    runtime: Any
    halves: tuple[Any, Any]
    failures: tuple[type[Exception], ...]
    engine: str

    def value(self, array: Any) -> Any:
        """A tensor that shares its memory with a numpy array."""
        return self.runtime.OrtValue.ortvalue_from_numpy(array)

    def encode(self, outputs: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Run the encoder; tensors in, tensors out. Errors: EngineFailed."""
        return self._run(0, outputs, feeds)

    def decode(self, outputs: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        """Run the decoder; tensors in, tensors out. Errors: EngineFailed."""
        return self._run(1, outputs, feeds)

    def _run(self, half: int, outputs: Sequence[str], feeds: Mapping[str, Any]) -> list[Any]:
        with translated(self.failures, f"onnxruntime could not run the {HALVES[half]}"):
            return list(self.halves[half].run_with_ort_values(outputs, feeds))


def open_sessions(folder: Path, options: RuntimeOptions, *, compiled: bool) -> Sessions:
    """The two graphs of a chipset's folder. ``compiled``: they hold a context for the NPU already.

    On the NPU nothing may fall to the CPU, so a graph that the NPU cannot run as a whole does not load. What is
    compiled at load is kept in the cache folder. Errors: EngineFailed.
    """
    runtime = import_onnxruntime()
    failures = _failures()
    made = []
    for half in HALVES:
        graph = folder / half / "model.onnx"
        with translated(failures, f"The {half} did not load on the {options.device}"):
            if options.device == "CPU":
                made.append(_on_cpu(runtime, graph, options))
            elif compiled or options.cache_dir is None:
                made.append(_on_npu(runtime, graph, options, {}))
            else:
                made.append(_compiled_once(runtime, graph, options, failures))
    engine = f"onnxruntime {runtime.__version__}"
    if options.device != "CPU" and (plug_in := _plug_in()) is not None:
        engine = f"{engine}, onnxruntime-qnn {plug_in.__version__}"
    return Sessions(runtime, (made[0], made[1]), failures, engine)


def _on_cpu(runtime: Any, graph: Path, options: RuntimeOptions) -> Any:
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = options.threads or spare_threads()
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")  # see spare_threads
    return runtime.InferenceSession(str(graph), settings, providers=["CPUExecutionProvider"])


def _on_npu(runtime: Any, graph: Path, options: RuntimeOptions, entries: Mapping[str, str]) -> Any:
    device = _npu(runtime, simulated=options.properties.keys() >= SIMULATOR_OPTIONS)
    if device is None:
        raise EngineFailed(f"There is {remark()}.")
    settings = runtime.SessionOptions()
    settings.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for name, value in entries.items():
        settings.add_session_config_entry(name, value)
    settings.add_provider_for_devices([device], provider_options(options))
    return runtime.InferenceSession(str(graph), settings)


def provider_options(options: RuntimeOptions) -> dict[str, str]:
    """The QNN provider's options: ours, then what the user configured."""
    import onnxruntime_qnn

    return {"backend_path": str(onnxruntime_qnn.get_qnn_htp_path()), **NPU_OPTIONS, **options.properties}


def _compiled_once(runtime: Any, graph: Path, options: RuntimeOptions, failures: tuple[type[Exception], ...]) -> Any:
    """Compiling takes minutes for a large model: what comes of it is kept, by a name that changes with what made it."""
    assert options.cache_dir is not None
    kept = options.cache_dir / f"qnn-{graph.parent.name}-{_fingerprint(runtime, graph, options)}.onnx"
    if kept.exists():
        try:
            return _on_npu(runtime, kept, options, {})
        except failures:  # written by a crash, or by a driver that has gone: make it anew
            with suppress(PermissionError):  # on Windows another worker may hold it
                kept.unlink()
    options.cache_dir.mkdir(parents=True, exist_ok=True)
    entries = {
        "ep.context_enable": "1",
        "ep.context_embed_mode": "0",
        "ep.context_file_path": str(kept),
    }
    return _on_npu(runtime, graph, options, entries)


def _fingerprint(runtime: Any, graph: Path, options: RuntimeOptions) -> str:
    stat = graph.stat()
    plug_in = _plug_in()
    parts = (
        str(graph), stat.st_size, stat.st_mtime_ns, runtime.__version__, getattr(plug_in, "__version__", None),
        sorted(provider_options(options).items()),
    )  # fmt: skip
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def _plug_in() -> Any | None:
    try:
        import onnxruntime_qnn
    except ImportError:
        return None
    return onnxruntime_qnn


def _npu(runtime: Any, *, simulated: bool = False) -> Any | None:
    """The provider's NPU. It also offers the CPU, to compile for a chip elsewhere or to simulate one (on Linux x64).

    On ARM64 Linux onnxruntime does not look for NPUs, so that on a Qualcomm chip the provider's CPU stands for it:
    the backend's path decides what computes.
    """
    plug_in = _plug_in()
    if plug_in is None:
        return None
    with translated(_failures(), "onnxruntime-qnn cannot be registered", RuntimeError):
        if all(one.ep_name != PROVIDER for one in runtime.get_ep_devices()):
            runtime.register_execution_provider_library(plug_in.get_ep_name(), plug_in.get_library_path())
        offered = [one for one in runtime.get_ep_devices() if one.ep_name == PROVIDER]
    kinds = runtime.OrtHardwareDeviceType
    by_kind = {one.device.type: one for one in offered if not one.device.metadata.get("is_virtual")}
    if kinds.NPU in by_kind:
        return by_kind[kinds.NPU]
    stands_for_it = simulated or _is_qualcomm_linux()
    return by_kind.get(kinds.CPU) if stands_for_it else None


def _is_qualcomm_linux() -> bool:
    import sys

    return sys.platform == "linux" and this_machine().architecture == "arm64" and this_machine().is_qualcomm


def _failures() -> tuple[type[Exception], ...]:
    """onnxruntime's exceptions have no base of their own."""
    from onnxruntime.capi import onnxruntime_pybind11_state as native

    found = [one for one in vars(native).values() if isinstance(one, type) and issubclass(one, Exception)]
    return (*found, RuntimeError, ValueError)


@contextmanager
def translated(
    failures: tuple[type[Exception], ...], what: str, into: type[Exception] = EngineFailed
) -> Generator[None]:
    """An engine's failure as one of ours."""
    try:
        yield
    except failures as error:
        raise into(f"{what}: {plain_reason(error)}") from error
