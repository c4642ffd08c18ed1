"""Which runtime on which device: a pure function from facts to names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fluid_server.catalog.qnn import PORTABLE, chipsets
from fluid_server.runtimes.table import RUNTIMES, Entry
from fluid_server.types import Format, Kind, ModelSpec
from fluid_server.workers.probe import RuntimeReport

AUTO = "AUTO"
# What AUTO tries, in order. An NPU compiles for minutes and answers one request at a time, so a language model
# goes there only when asked to; Whisper is what it was made for.
PREFERRED = {Kind.TRANSCRIPTION: ("NPU", "GPU", "CPU")}
PREFERRED_ELSE = ("GPU", "CPU")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to run a model."""

    runtime: str
    device: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The ways to run a model, the best first; where there is none, the reason in words."""

    candidates: tuple[Candidate, ...]
    reason: str = ""


def select(spec: ModelSpec, reports: Mapping[str, RuntimeReport], wish: str = AUTO) -> Choice:
    """From the model's format and kind, the runtimes that import here and their devices, to ordered candidates."""
    fitting = [entry for entry in RUNTIMES.values() if spec.format in entry.formats and spec.kind in entry.kinds]
    if not fitting:
        return Choice((), f"no runtime for {spec.kind} models in {spec.format} format exists yet")
    usable = [entry for entry in fitting if _report(reports, entry).available]
    if not usable:
        reasons = {_report(reports, entry).reason or entry.name for entry in fitting}
        return Choice((), "; ".join(sorted(reasons)))
    found = tuple(
        Candidate(entry.name, device)
        for entry in usable
        for device in devices_to_try(spec.kind, _fitting(spec, _report(reports, entry)), wish)
    )
    return Choice(found) if found else Choice((), _why_on_none(spec, [_report(reports, one) for one in usable], wish))


def _fitting(spec: ModelSpec, report: RuntimeReport) -> tuple[str, ...]:
    """The runtime's devices that the model is made for: graphs compiled for an NPU run nowhere else."""
    if spec.format is Format.QNN and PORTABLE not in chipsets(spec):
        return tuple(device for device in report.devices if device != "CPU")
    return report.devices


def _why_on_none(spec: ModelSpec, usable: Sequence[RuntimeReport], wish: str) -> str:
    present = ", ".join(sorted({device for report in usable for device in report.devices}))
    remarks = "".join(f" ({report.reason})" for report in usable if report.reason)
    if wish in (AUTO, "CPU") and spec.format is Format.QNN:
        compiled_for = ", ".join(sorted(chipsets(spec)))
        return f"it is compiled for the NPU of {compiled_for}; there is: {present}{remarks}"
    return f"the device {wish} is not here; there is: {present}{remarks}"


def devices_to_try(kind: Kind, present: Sequence[str], wish: str) -> list[str]:
    """The wish, if it is here; for AUTO every fitting device, the best first. GPU.1 and the like count as GPU."""
    if wish != AUTO:
        matches = [device for device in present if wish in (device, device.split(".")[0])]
        return matches[:1]
    order = PREFERRED.get(kind, PREFERRED_ELSE)
    return [device for best in order for device in present if device.split(".")[0] == best]


def _report(reports: Mapping[str, RuntimeReport], entry: Entry) -> RuntimeReport:
    return reports.get(entry.name, RuntimeReport(False, reason=f"{entry.name} was not checked"))
