"""How routes are given what they need."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import iscoroutinefunction
from pkgutil import iter_modules

import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from fluid_server.api import health, metrics, v1


def routes() -> Iterator[APIRoute]:
    modules = [health, metrics, *(import_module(f"{v1.__name__}.{one.name}") for one in iter_modules(v1.__path__))]
    for module in modules:
        router: APIRouter = module.router
        yield from (route for route in router.routes if isinstance(route, APIRoute))


def _all_of(dependant: Dependant) -> Iterator[Dependant]:
    for one in dependant.dependencies:
        yield one
        yield from _all_of(one)


@pytest.mark.parametrize("route", list(routes()), ids=lambda route: f"{min(route.methods)} {route.path}")
def test_nothing_of_a_request_is_run_in_a_thread(route: APIRoute) -> None:
    """FastAPI runs plain functions in one: four of them cost a chat more than all the rest of the server."""
    assert iscoroutinefunction(route.endpoint)
    assert [one.call for one in _all_of(route.dependant) if not iscoroutinefunction(one.call)] == []
