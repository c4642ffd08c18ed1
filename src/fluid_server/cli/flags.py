"""Flags made from ServerConfig, so that a setting is written once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo

from fluid_server.config import ServerConfig


def add_flag(sub: argparse.ArgumentParser, name: str, meaning: str | None = None) -> None:
    """The flag of one setting, with its own description or another. Left out, it is absent from the result, so that it
    overrules nothing."""
    field = ServerConfig.model_fields[name]
    flag = "--" + name.replace("_", "-")
    kinds = {field.annotation, *get_args(field.annotation)}
    settings: dict[str, Any] = {"dest": name, "help": f"{meaning or field.description}{_default(field)}"}
    if field.annotation is bool:
        settings["action"] = argparse.BooleanOptionalAction
    elif get_origin(field.annotation) is dict:
        settings |= {"action": _KeyValue, "metavar": "KEY=VALUE"}
    elif get_origin(field.annotation) is list:
        settings |= {"action": "append", "metavar": "URL" if "origin" in name else "NAME"}
    elif str in {type(one) for one in get_args(field.annotation)}:
        settings["choices"] = get_args(field.annotation)
    else:
        settings["metavar"] = _metavar(name, kinds)
    sub.add_argument(flag, **settings)


def _metavar(name: str, kinds: set[Any]) -> str:
    if name in {"model_path", "data_dir"}:
        return "FOLDER"
    if Path in kinds:
        return "FILE"
    if "model" in name:
        return "MODEL"
    if int in kinds:
        return "N"
    if float in kinds:
        return "TIME" if name == "store_ttl" else "SECONDS"
    return {"host": "ADDRESS", "device": "DEVICE", "api_key": "KEY", "database_url": "URL"}.get(name, "SIZE")


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None or field.default is None or "default" in (field.description or ""):
        return ""
    value = field.default
    if isinstance(value, bool):
        return f" (default: {'yes' if value else 'no'})"
    return f" (default: {value.human_readable() if hasattr(value, 'human_readable') else value})"


class _KeyValue(argparse.Action):
    """Collects KEY=VALUE into a dictionary."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        key, equals, value = str(values).partition("=")
        if not equals or not key:
            parser.error(f"{option_string}: write it as KEY=VALUE (got '{values}')")
        setattr(namespace, self.dest, {**getattr(namespace, self.dest, {}), key: value})
