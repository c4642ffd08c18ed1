"""Who asks the server twice to end gets no more waiting, and nothing else is lost."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.front_door import ECHO, PATIENCE, RunningServer, stop_signal, until


def test_a_second_signal_cuts_the_grace_short() -> None:
    server = RunningServer.start("--echo", "--no-warm-up", "--shutdown-grace", str(10 * PATIENCE))
    try:
        with openai.OpenAI(base_url=server.base_url, api_key="-", max_retries=0) as client:
            endless: Any = {"ignore_eos": True}
            with client.chat.completions.create(
                model=ECHO,
                messages=[{"role": "user", "content": "over and over"}],
                stream=True,
                extra_body=endless,
            ) as stream:
                next(stream)
                server.process.send_signal(stop_signal())
                until(lambda: any("shutting down" in line for line in server.log))
                next(stream)
                server.process.send_signal(stop_signal())
                with pytest.raises(openai.APIError) as told:
                    for _ in stream:
                        pass
        assert told.value.code == "shutting_down"
        assert server.process.wait(PATIENCE) == 0
    finally:
        server.stop()  # and its log has been read to the end
    assert server.log[-1].endswith("ended")
