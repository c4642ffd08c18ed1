"""What one sequence asks of llama.cpp."""

from __future__ import annotations

from typing import Any

from fluid_server.runtimes.llamacpp_request import biases, grammar_of, request_body
from fluid_server.runtimes.text_plan import Plan, complete
from fluid_server.shapes import Const, Grammar
from fluid_server.types import Sampling


def plan(sampling: Sampling | None = None, **fields: Any) -> Plan:
    return Plan(max_tokens=9, sampling=complete(sampling or Sampling(temperature=0.0), Sampling()), **fields)


def test_no_default_of_llama_cpp_s_slips_in() -> None:
    body = request_body([1, 2], plan(), 100, None, 3)
    assert (body["top_k"], body["top_p"], body["min_p"], body["repeat_penalty"]) == (0, 1.0, 0.0, 1.0)
    assert (body["n_predict"], body["id_slot"], body["logit_bias"]) == (9, 3, [])
    assert "n_probs" not in body
    assert "grammar" not in body


def test_the_chosen_token_s_probability_is_asked_for_even_without_alternatives() -> None:
    assert request_body([1], plan(logprobs=0), 100, None, 0)["n_probs"] == 1
    assert request_body([1], plan(logprobs=5), 100, None, 0)["n_probs"] == 5


def test_a_grammar_needs_the_end_token() -> None:
    assert request_body([1], plan(ignore_eos=True), 100, None, 0)["ignore_eos"] is True
    assert request_body([1], plan(ignore_eos=True), 100, 'root ::= "a"', 0)["ignore_eos"] is False


def test_penalties_on_the_prompt_are_made_up_for() -> None:
    punished = plan(Sampling(frequency_penalty=0.5, presence_penalty=1.0), logit_bias={7: 3})
    assert biases([7, 8, 8], punished) == {7: 4.5, 8: 2.0}
    assert biases([7, 8, 8], plan(logit_bias={7: 3})) == {7: 3.0}


def test_every_grammar_goes_to_llguidance() -> None:
    assert str(grammar_of(Grammar('root ::= "a"'), lambda text: [text])).startswith("%llguidance")
    assert str(grammar_of(Const("a"), lambda text: [text])).startswith("%llguidance")
    assert grammar_of(None, lambda text: [text]) is None
