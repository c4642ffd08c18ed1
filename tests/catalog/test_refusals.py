"""The Hub's refusals in words: one for each thing that a person can do about it."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from fluid_server.catalog.refusals import LONGEST_WAIT, Asked, refusal, retry_after, unreachable
from fluid_server.errors import HubError, HubTokenRejected, RepositoryGated, RepositoryNotFound


def asked(*, token: bool) -> Asked:
    return Asked(endpoint="https://hub.test", token=token, repo="a/b", revision="dev", path="c.gguf")


@pytest.mark.parametrize(
    ("status", "headers", "token", "kind", "word"),
    [
        (401, {}, False, RepositoryNotFound, "it is private"),
        (401, {"x-error-message": "Invalid username or password."}, False, RepositoryNotFound, "HF_TOKEN"),
        (401, {"x-error-message": "Invalid username or password."}, True, HubTokenRejected, "has expired"),
        (401, {"x-error-message": "Invalid credentials in Authorization header"}, True, HubTokenRejected, "settings"),
        (401, {"x-error-code": "GatedRepo"}, False, RepositoryGated, "https://hub.test/a/b"),
        (403, {"x-error-code": "GatedRepo"}, True, RepositoryGated, "account"),
        (401, {"x-error-code": "RepoNotFound"}, True, RepositoryNotFound, "permissions"),
        (404, {"x-error-code": "RepoNotFound"}, False, RepositoryNotFound, "it is private"),
        (404, {"x-error-code": "RevisionNotFound"}, False, RepositoryNotFound, "@dev"),
        (404, {"x-error-code": "EntryNotFound"}, False, RepositoryNotFound, "c.gguf"),
        (404, {}, False, RepositoryNotFound, "hub.test"),
        (403, {}, True, HubTokenRejected, "permission"),
        (403, {}, False, HubError, "proxy"),
        (403, {"x-error-message": "Access to this resource is disabled."}, True, HubError, "disabled"),
        (451, {}, False, HubError, "451"),
        (503, {}, True, HubError, "trouble"),
        (429, {}, False, HubError, "too many requests"),
    ],
)
def test_each_refusal_says_what_to_do(
    status: int, headers: dict[str, str], token: bool, kind: type[HubError], word: str
) -> None:
    error = refusal(asked(token=token), status, headers)
    assert type(error) is kind
    assert word in error.message
    assert (error.retry_after is not None) == (status in (429, 503))


@pytest.mark.parametrize(("status", "code"), [(401, "GatedRepo"), (404, "RevisionNotFound"), (403, ""), (503, "")])
def test_what_stands_before_the_host_stays_secret(status: int, code: str) -> None:
    secret = Asked(endpoint="http://joe:s3cret@hub.test/x", token=True, repo="a/b", revision="dev")
    for error in (refusal(secret, status, {"x-error-code": code}), unreachable(secret, "it does not answer")):
        assert "hub.test/x" in error.message
        assert "s3cret" not in error.message
        assert "joe" not in error.message


def test_not_being_reached_is_said_with_its_reason() -> None:
    error = unreachable(asked(token=False), "the connection is refused")
    assert "hub.test) cannot be reached: the connection is refused." in error.message


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({}, None),
        ({"retry-after": "12"}, 12),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "9" * 30}, LONGEST_WAIT),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"retry-after": "Fri, 31 Dec 9999 23:59:59 GMT"}, LONGEST_WAIT),
        ({"ratelimit": '"resolvers";r=0;t=44'}, 44),
        ({"ratelimit": '"resolvers";r=10;t=44'}, None),
        ({"ratelimit": "nonsense"}, None),
    ],
)
def test_how_long_to_wait(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after(headers) == wait


def test_a_date_to_come_back_at() -> None:
    wait = retry_after({"retry-after": formatdate(time.time() + 600, usegmt=True)})
    assert wait is not None
    assert 0 < wait <= 600
