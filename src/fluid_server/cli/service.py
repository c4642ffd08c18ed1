"""fluid-server service: a server that the system starts, and starts again when it fails."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from fluid_server import __version__
from fluid_server.cli.service_files import Record, forget, keep_secrets, remember, remembered
from fluid_server.cli.service_flags import LINES, WAIT
from fluid_server.cli.service_launchd import Launchd
from fluid_server.cli.service_plan import Manager, Plan, Scope, State, address_in, name_of_service, plan_of, refuse
from fluid_server.cli.service_server import answering
from fluid_server.cli.service_systemd import Systemd
from fluid_server.cli.service_windows_task import WindowsTask
from fluid_server.config import ServerConfig
from fluid_server.errors import ConfigError, FluidError

RUNS, STOPPED, ABSENT = 0, 3, 4  # the exit codes of status, as init scripts have had them for long
LOOK_EVERY = 0.25  # seconds
MEANT_FOR = {
    "user": ("--user", ("install",)),
    "start": ("--no-start", ("install",)),
    "only_print": ("--print", ("install",)),
    "handed_on": ("What follows --", ("install",)),
    "wait": ("--wait", ("install", "start", "restart")),
    "lines": ("--lines", ("logs",)),
    "as_json": ("--json", ("status",)),
}
MANAGERS: dict[str, type[Systemd | WindowsTask | Launchd]] = {
    "linux": Systemd,
    "win32": WindowsTask,
    "darwin": Launchd,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was typed. ``handed_on``: what followed ``--``."""

    action: str
    name: str
    system: bool
    user: str | None = None
    start: bool = True
    wait: float = WAIT
    lines: int = LINES
    only_print: bool = False
    as_json: bool = False
    handed_on: tuple[str, ...] = ()

    @property
    def scope(self) -> Scope:
        """For whom the service is."""
        return Scope.SYSTEM if self.system else Scope.USER


def run(config: ServerConfig, **options: Any) -> int:
    """Do what was typed. Errors: FluidError in the words of whatever keeps services here."""
    wish = Wish(**options)
    _check(wish)
    manager = manager_of(name_of_service(wish.name), wish.scope)
    if wish.action == "install":
        plan = plan_of(config, wish.name, wish.scope, wish.user, manager.places)
        return _print(manager, plan) if wish.only_print else _install(manager, plan, config, wish)
    manager = _found(manager, wish.name)
    if wish.action == "status":
        return _status(manager, wish)
    if wish.action == "remove":
        return _remove(manager, wish.name)
    state = manager.state()
    if not state.installed:
        raise FluidError(_words(wish.name, state, None))
    return _done(manager, wish, state)


def _check(wish: Wish) -> None:
    """Errors: ConfigError for a flag that the action would ignore."""
    usual = {field.name: field.default for field in fields(Wish)}
    for name, (flag, actions) in MEANT_FOR.items():
        if getattr(wish, name) != usual[name] and wish.action not in actions:
            raise ConfigError(f"{flag} is for {' and '.join(actions)}, not for {wish.action}.", param=name)
    refuse(wish.handed_on)


def _done(manager: Manager, wish: Wish, state: State) -> int:
    """What is done with a service that is installed."""
    if wish.action == "logs":
        print(manager.log(wish.lines) or "Nothing has been logged yet.")
    elif wish.action == "stop":
        manager.stop()
        print(f"{wish.name} has ended, and stays off until 'fluid-server service start'.")
    elif wish.action == "start" and state.running:
        print(_words(wish.name, state, _answering(manager)))
    else:
        manager.start()
        return _started(manager, wish)
    return RUNS


def manager_of(name: str, scope: Scope) -> Manager:
    """What keeps services here. Errors: FluidError on a system that has nothing of the kind."""
    kind = MANAGERS.get(sys.platform)
    if kind is None:
        raise FluidError(
            f"No services can be installed on '{sys.platform}'. Start 'fluid-server serve' by other means."
        )
    return kind(name, scope)


def _found(manager: Manager, name: str) -> Manager:
    """The user's service; or the system's, where that alone was installed."""
    other = manager_of(name, Scope.SYSTEM)
    known, others = (remembered(one.places.settings) for one in (manager, other))
    return other if known is None and others is not None else manager


def _print(manager: Manager, plan: Plan) -> int:
    print(manager.definition(plan), end="")
    print(f"This would be {manager.places.definition}.", file=sys.stderr)
    if plan.secrets:
        print(f"{', '.join(plan.secrets)} would be kept in {plan.environment}.", file=sys.stderr)
    return RUNS


def _install(manager: Manager, plan: Plan, config: ServerConfig, wish: Wish) -> int:
    manager.check(plan)
    known = remembered(plan.environment.parent)
    keep_secrets(plan.environment, plan.secrets)
    manager.install(plan)
    remember(plan.environment.parent, _record(plan, config))
    print(f"{'Replaced' if known else 'Installed'} {manager.places.definition}.")
    print(f"Secrets are kept in {plan.environment}.")
    if plan.log_file:
        print(f"It logs to {plan.log_file}.")
    if not wish.start:
        manager.stop()
        print("It is off until 'fluid-server service start'.")
        return RUNS
    manager.start()
    return _started(manager, wish)


def _record(plan: Plan, config: ServerConfig) -> Record:
    places = [plan.data, plan.data / "models"] if plan.data else []
    places += [*plan.writable] or [config.model_path]
    return Record(
        name=plan.name,
        scope=plan.scope,
        version=__version__,
        command=tuple(plan.command),
        places=tuple(str(place) for place in places),
        address=address_in(config),
        log_file=str(plan.log_file) if plan.log_file else None,
    )


def _started(manager: Manager, wish: Wish) -> int:
    """Look until it answers or has failed; the exit code says whether it runs."""
    deadline = time.monotonic() + wish.wait
    while True:
        state, url = manager.state(), _answering(manager)
        if url is not None or time.monotonic() >= deadline or state.detail.startswith("failed"):
            break
        time.sleep(LOOK_EVERY)
    print(_words(wish.name, state, url))
    return RUNS if state.running else STOPPED


def _remove(manager: Manager, name: str) -> int:
    settings = manager.places.settings
    record = remembered(settings)
    if record is None and not manager.state().installed:
        print(f"No service '{name}' is installed.")
        return RUNS
    manager.remove()
    forget(settings)
    print(f"Removed {manager.places.definition}.")
    kept = [str(settings), *(record.places if record else ())]
    print("Models, conversations, settings and keys are left where they are:")
    print("\n".join(f"  {place}" for place in dict.fromkeys(kept) if _is_there(Path(place))))
    return RUNS


def _is_there(place: Path) -> bool:
    try:
        return place.exists()
    except OSError:  # a folder that only the service may enter
        return True


def _status(manager: Manager, wish: Wish) -> int:
    state = manager.state()
    url = _answering(manager) if state.installed else None
    if wish.as_json:
        record = remembered(manager.places.settings)
        told = {"name": wish.name, **asdict(state), "url": url, "definition": manager.places.definition,
                "service": asdict(record) if record else None}  # fmt: skip
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(_words(wish.name, state, url))
    if not state.installed:
        return ABSENT
    return RUNS if state.running else STOPPED


def _words(name: str, state: State, url: str | None) -> str:
    if not state.installed:
        return f"No service '{name}' is installed. 'fluid-server service install' installs it."
    times = "once" if state.restarts == 1 else f"{state.restarts} times"
    again = f" It was started again {times}." if state.restarts else ""
    if not state.running:
        off = "" if state.enabled else " It is off until 'fluid-server service start'."
        return f"{name} does not run: {state.detail}.{off}{again} 'fluid-server service logs' shows its last lines."
    process = f" (process {state.pid})" if state.pid else ""
    answers = f" It answers at {url}." if url else " It does not answer yet: 'fluid-server service logs' may say why."
    return f"{name} runs{process}.{again}{answers}"


def _answering(manager: Manager) -> str | None:
    record = remembered(manager.places.settings)
    return answering(record) if record else None
