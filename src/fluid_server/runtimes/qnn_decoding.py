"""One window through the two graphs: the encoder once, then the decoder token by token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fluid_server.errors import EngineFailed
from fluid_server.runtimes.qnn_contract import Contract, Passed
from fluid_server.runtimes.qnn_sessions import Sessions

HIDDEN = -100.0  # added to the score of a place that is not to be looked at
SEEN = 0.0


class Decoding:
    """The decoder's state for one window. Use from one thread; several can share the sessions.

    Places are filled from the right: the newest token is at the last one, and each step moves the caches on by one.
    What goes from step to step never leaves onnxruntime's own memory; the three small inputs are written in place.
    """

    def __init__(self, sessions: Sessions, contract: Contract, cross: Mapping[str, Any]) -> None:
        self._sessions, self._contract = sessions, contract
        self._token = np.zeros(contract.ids.shape, contract.ids.dtype)
        self._position = np.zeros(contract.position.shape, contract.position.dtype)
        self._mask = contract.mask.filled(HIDDEN)
        self._seen = contract.mask.encode(np.array([SEEN], np.float32))[0]
        self._filled = 0
        self._feeds: dict[str, Any] = {
            contract.ids.name: sessions.value(self._token),
            contract.position.name: sessions.value(self._position),
            contract.mask.name: sessions.value(self._mask),
            **cross,
            **{passed.into.name: sessions.value(passed.into.filled(0.0)) for passed in contract.own},
        }
        self._outputs = [contract.logits.name, *(passed.out.name for passed in contract.own)]

    @property
    def room(self) -> int:
        """Places that are free."""
        return self._contract.places - self._filled

    def step(self, token: int) -> npt.NDArray[np.float32]:
        """Put a token in the next place; the scores of what may follow, shape [vocabulary]."""
        assert self.room > 0
        self._token[:] = token
        self._position[:] = self._filled
        self._mask[..., self.room - 1] = self._seen
        logits, *caches = self._sessions.decode(self._outputs, self._feeds)
        for passed, cache in zip(self._contract.own, caches, strict=True):
            self._feeds[passed.into.name] = _handed_on(self._sessions, passed, cache)
        self._filled += 1
        scores = self._contract.logits.decode(logits.numpy()).reshape(-1)
        if np.isnan(scores).any():
            raise EngineFailed("The decoder's scores are no numbers: its sums have left the range of float16.")
        return scores


def heard(sessions: Sessions, contract: Contract, features: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The decoder's cross caches for a log-mel spectrogram, shape [bands, 3000]."""
    encoded = contract.features.encode(features.reshape(contract.features.shape))
    names = [passed.out.name for passed in contract.cross]
    caches = sessions.encode(names, {contract.features.name: sessions.value(encoded)})
    return {
        passed.into.name: _handed_on(sessions, passed, cache)
        for passed, cache in zip(contract.cross, caches, strict=True)
    }


def _handed_on(sessions: Sessions, passed: Passed, value: Any) -> Any:
    """The same tensor, unless the two borders write numbers differently."""
    if passed.out.holds_the_same_as(passed.into):
        return value
    return sessions.value(passed.into.encode(passed.out.decode(value.numpy())))
