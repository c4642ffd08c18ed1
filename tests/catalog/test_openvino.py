"""OpenVINO and QNN folders: each kind is told apart, and what is missing is named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fluid_server.catalog import openvino, qnn
from fluid_server.catalog.folder import look
from fluid_server.types import Format, Kind, ModelSpec, Sampling

WriteIr = Callable[..., Path]


def recognised(path: Path) -> ModelSpec:
    (spec,) = openvino.recognise(look(path))
    return spec


def healthy(path: Path) -> ModelSpec:
    spec = recognised(path)
    assert spec.problem is None
    return spec


def write_json(path: Path, name: str, content: object) -> None:
    (path / name).write_text(json.dumps(content))


@pytest.fixture
def demo(models: Path, tmp_path: Path) -> Path:
    """A copy of the demo language model, to be broken."""
    return Path(shutil.copytree(models / "llm/fluid-tiny-ov", tmp_path / "demo"))


def test_the_demo_language_model_tells_all_about_itself(models: Path) -> None:
    folder = models / "llm/fluid-tiny-ov"
    spec = healthy(folder)
    assert (spec.id, spec.format, spec.kind) == ("fluid-tiny-ov", Format.OPENVINO, Kind.TEXT)
    assert (spec.architecture, spec.context_length) == ("llama", 2048)
    assert spec.kv_bytes_per_token == 4 * 1 * 64 * 2 * 2
    assert spec.files == (folder / "openvino_model.bin",)
    assert spec.size_bytes == (folder / "openvino_model.bin").stat().st_size
    assert spec.special_tokens == {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    assert spec.sampling == Sampling(temperature=0.0)
    assert spec.modified == max(file.stat().st_mtime for file in folder.iterdir())


def test_the_demo_whisper_knows_its_languages(models: Path) -> None:
    spec = healthy(models / "whisper/fluid-tiny-whisper-ov")
    assert spec.kind is Kind.TRANSCRIPTION
    assert spec.languages == ("en", "fr")
    assert [file.name for file in spec.files] == ["openvino_decoder_model.bin", "openvino_encoder_model.bin"]


@pytest.mark.parametrize(
    ("inputs", "output", "architecture", "kind"),
    [
        (["input_ids", "beam_idx"], "logits", None, Kind.TEXT),
        (["input_ids"], "last_hidden_state", None, Kind.EMBEDDING),
        (["input_ids"], "sentence_embedding", None, Kind.EMBEDDING),
        (["input_ids"], "logits", None, Kind.RERANK),
        (["input_ids"], "1234", "BertForSequenceClassification", Kind.RERANK),
        (["input_ids"], "1234", "BertModel", Kind.EMBEDDING),
    ],
)
def test_the_graph_tells_the_kind_and_the_config_is_the_second_witness(
    write_ir: WriteIr, inputs: list[str], output: str, architecture: str | None, kind: Kind
) -> None:
    path = write_ir("m", "openvino_model", inputs=inputs, outputs=[output])
    write_json(path, "config.json", {"architectures": architecture and [architecture]})
    assert healthy(path).kind is kind


def test_names_at_ports_count_where_older_exporters_put_them(write_ir: WriteIr) -> None:
    path = write_ir("m", "openvino_model", inputs=["Parameter_1"], outputs=[])
    graph = path / "openvino_model.xml"
    port = '<output><port id="0" names="last_hidden_state" /></output></layer>'
    graph.write_text(graph.read_text().replace("</layer>", port, 1))
    assert healthy(path).kind is Kind.EMBEDDING


def test_a_speech_model_says_how_long_a_pause_it_wants(models: Path) -> None:
    assert healthy(models / "whisper/fluid-tiny-whisper-ov").pause == 1.0


def test_a_language_model_without_its_state_is_sent_back(write_ir: WriteIr) -> None:
    path = write_ir("m", "openvino_model")
    write_json(path, "config.json", {"architectures": ["LlamaForCausalLM"]})
    spec = recognised(path)
    assert spec.kind is Kind.TEXT
    assert "text-generation-with-past" in str(spec.problem)


def test_vision_reads_the_nested_text_config(write_ir: WriteIr) -> None:
    path = write_ir("m", "openvino_language_model", inputs=["beam_idx"])
    text = {
        "max_position_embeddings": 4096,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "hidden_size": 64,
    }
    write_json(path, "config.json", {"model_type": "qwen3_vl", "text_config": text})
    spec = healthy(path)
    assert (spec.kind, spec.architecture, spec.context_length) == (Kind.VISION, "qwen3_vl", 4096)
    assert spec.kv_bytes_per_token == 2 * 4 * 16 * 2 * 2


def test_speecht5_is_not_taken_for_whisper(write_ir: WriteIr) -> None:
    for part in ("encoder_model", "decoder_model", "postnet", "vocoder"):
        path = write_ir("m", f"openvino_{part}")
    (path / "voices").mkdir()
    (path / "voices" / "guest.bin").write_bytes(b"1")
    assert (healthy(path).kind, healthy(path).voices) == (Kind.SPEECH, ("default", "guest"))
    (path / "openvino_postnet.xml").unlink()
    assert recognised(path).problem == "openvino_postnet.xml is missing: download the model again"


def test_kokoro_needs_voices_and_no_tokenizer(write_ir: WriteIr) -> None:
    path = write_ir("m", "openvino_model", outputs=["waveform"])
    (path / "tokenizer.json").unlink()
    write_json(path, "config.json", {"istftnet": {}, "model_type": "kokoro"})
    assert recognised(path).problem == "the folder voices is missing: download the model again"
    (path / "voices").mkdir()
    assert recognised(path).problem == "every file of the folder voices is missing: download the model again"
    for name in ("bf_b.bin", "af_a.bin", "notes.txt"):
        (path / "voices" / name).write_bytes(b"1")
    spec = healthy(path)
    assert (spec.kind, spec.voices) == (Kind.SPEECH, ("af_a", "bf_b"))


def test_another_encoder_decoder_is_no_transcriber(write_ir: WriteIr) -> None:
    for part in ("encoder_model", "decoder_model"):
        path = write_ir("m", f"openvino_{part}")
    write_json(path, "config.json", {"model_type": "t5"})
    assert "of the type t5" in str(recognised(path).problem)


def test_an_image_pipeline_needs_each_of_its_components(write_ir: WriteIr, tmp_path: Path) -> None:
    for part in ("unet", "vae_decoder", "text_encoder"):
        write_ir(f"m/{part}", "openvino_model")
    parts = {"unet": ["diffusers", "U"], "vae": ["diffusers", "V"], "text_encoder_2": [None, None]}
    write_json(tmp_path / "m", "model_index.json", {"_class_name": "StableDiffusionPipeline", **parts})
    spec = healthy(tmp_path / "m")
    assert (spec.kind, spec.architecture, spec.size_bytes) == (Kind.IMAGE, "StableDiffusionPipeline", 192)
    shutil.rmtree(tmp_path / "m/vae_decoder")
    assert recognised(tmp_path / "m").problem is not None
    assert "vae_decoder/openvino_model.xml is missing" in str(recognised(tmp_path / "m").problem)


@pytest.mark.parametrize("name", ["openvino_model.bin", "openvino_model.xml", "openvino_tokenizer.bin"])
def test_a_missing_file_is_named(demo: Path, name: str) -> None:
    (demo / name).unlink()
    spec = recognised(demo)
    assert spec.problem == f"{name} is missing: download the model again"
    assert spec.kind is Kind.TEXT


@pytest.mark.parametrize(("keep", "reason"), [(0, "it is empty"), (1000, "1000 of 3935967 bytes are there")])
def test_cut_weights_are_found(demo: Path, keep: int, reason: str) -> None:
    weights = demo / "openvino_model.bin"
    weights.write_bytes(weights.read_bytes()[:keep])
    assert recognised(demo).problem == (f"openvino_model.bin is cut short ({reason}): download the model again")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("openvino_model.xml", b"<html>404</html>", "is not an OpenVINO graph"),
        ("openvino_model.xml", b'<?xml version="1.0"?><net name="Model0"><lay', "is cut short"),
        ("openvino_model.xml", b"<net " + b'<layer type="Parameter">' * 20_000 + b"</net>", "more inputs"),
        ("config.json", b"{", "config.json is not valid JSON"),
        ("config.json", b"[" * 100_000, "config.json is not valid JSON"),
        ("generation_config.json", b"[]", "generation_config.json is not a JSON object"),
        ("tokenizer_config.json", b"\xff\xfe\xfa", "tokenizer_config.json is not UTF-8"),
    ],
)
def test_garbled_files_are_named_without_the_path(demo: Path, name: str, content: bytes, reason: str) -> None:
    (demo / name).write_bytes(content)
    problem = str(recognised(demo).problem)
    assert reason in problem
    assert str(demo.parent) not in problem


def test_a_model_without_any_tokenizer_is_broken(demo: Path) -> None:
    for file in demo.glob("*tokenizer*.*"):
        file.unlink()
    assert "tokenizer is missing" in str(recognised(demo).problem)


def test_entities_are_never_expanded(write_ir: WriteIr) -> None:
    path = write_ir("m", "openvino_model", inputs=["beam_idx"])
    graph = path / "openvino_model.xml"
    bomb = '<!DOCTYPE net [<!ENTITY a "ha"><!ENTITY b "&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    graph.write_text(bomb + graph.read_text().replace("<rt_info>", "<rt_info>&b;&f;"))
    assert healthy(path).kind is Kind.TEXT


def test_chat_templates_are_taken_in_order(demo: Path) -> None:
    stored = (demo / "chat_template.jinja").read_text()
    write_json(demo, "chat_template.json", {"chat_template": "from json"})
    named = [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "from tokenizer_config"}]
    write_json(demo, "tokenizer_config.json", {"chat_template": named})
    assert healthy(demo).chat_template == stored
    (demo / "chat_template.jinja").unlink()
    assert healthy(demo).chat_template == "from json"
    (demo / "chat_template.json").unlink()
    assert healthy(demo).chat_template == "from tokenizer_config"
    write_json(demo, "tokenizer_config.json", {"chat_template": "plain"})
    assert healthy(demo).chat_template == "plain"
    (demo / "tokenizer_config.json").unlink()
    assert healthy(demo).chat_template == stored, "the exporter stored the same one in the tokenizer's graph"


def test_special_tokens_fall_back_to_the_map(demo: Path) -> None:
    write_json(demo, "tokenizer_config.json", {"bos_token": {"content": "<s>"}, "eos_token": None})
    write_json(demo, "special_tokens_map.json", {"bos_token": "no", "eos_token": {"content": "</s>"}})
    assert healthy(demo).special_tokens == {"bos_token": "<s>", "eos_token": "</s>"}


@pytest.mark.parametrize(
    ("generation", "expected"),
    [
        ({}, Sampling()),
        ({"do_sample": False, "temperature": 0.7, "top_k": 9}, Sampling(temperature=0.0)),
        ({"do_sample": True, "temperature": 0.6, "top_k": 20}, Sampling(temperature=0.6, top_k=20)),
        ({"top_p": 0.8, "min_p": 0.1, "top_k": 0}, Sampling(top_p=0.8, min_p=0.1, top_k=0)),
        ({"repetition_penalty": 1.05}, Sampling(repetition_penalty=1.05)),
        ({"temperature": "hot", "top_k": 1.5, "top_p": -1, "min_p": True}, Sampling()),
        ({"temperature": float("nan"), "top_p": float("inf")}, Sampling()),
    ],
)
def test_sampling_defaults(demo: Path, generation: dict[str, Any], expected: Sampling) -> None:
    write_json(demo, "generation_config.json", generation)
    assert healthy(demo).sampling == expected


def test_half_a_surrogate_pair_does_not_get_in(demo: Path) -> None:
    write_json(demo, "tokenizer_config.json", {"bos_token": "\ud800", "chat_template": "\udfff"})
    (demo / "config.json").write_text('{"model_type": "\\ud800"}')
    spec = healthy(demo)
    assert spec.architecture is None
    assert "bos_token" not in spec.special_tokens


def test_compressed_weights_say_so(write_ir: WriteIr) -> None:
    info = '<weight_compression><group_size value="64" /><mode value="int4_sym" /></weight_compression>'
    path = write_ir("m", "openvino_model", inputs=["beam_idx"], rt_info=info)
    assert healthy(path).quantization == "INT4_SYM"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("hello")
    assert openvino.recognise(look(tmp_path)) == ()
    assert qnn.recognise(look(tmp_path)) == ()


@pytest.fixture
def qnn_whisper(tmp_path: Path) -> Path:
    """A Whisper for one chipset, its compiled context in a file of its own."""
    for half in ("encoder", "decoder"):
        folder = tmp_path / "whisper-qnn/snapdragon-x-elite" / half
        folder.mkdir(parents=True)
        (folder / "model.onnx").write_bytes(bytes(10))
        (folder / "model.bin").write_bytes(bytes(100))
    write_json(tmp_path / "whisper-qnn", "generation_config.json", {"lang_to_id": {"<|fr|>": 2, "<|en|>": 1}})
    return tmp_path / "whisper-qnn"


def test_qnn_whisper_is_recognised(qnn_whisper: Path) -> None:
    (spec,) = qnn.recognise(look(qnn_whisper))
    assert (spec.format, spec.kind, spec.problem) == (Format.QNN, Kind.TRANSCRIPTION, None)
    assert (spec.id, spec.size_bytes, len(spec.files)) == ("whisper-qnn", 220, 4)
    assert spec.languages == ("en", "fr")


@pytest.mark.parametrize("place", [".", "snapdragon-x-elite"])
def test_how_many_tokens_a_qnn_whisper_takes_is_told_by_its_metadata(qnn_whisper: Path, place: str) -> None:
    inputs = {"input_ids": {"shape": [1, 1]}, "attention_mask": {"shape": [1, 1, 1, 200]}}
    told = {"model_files": {"encoder.onnx": {}, "decoder.onnx": {"inputs": inputs}}}
    write_json(qnn_whisper, "config.json", {"model_type": "whisper", "max_target_positions": 448})
    assert qnn.recognise(look(qnn_whisper))[0].context_length == 448
    write_json(qnn_whisper / place, "metadata.json", told)
    assert qnn.recognise(look(qnn_whisper))[0].context_length == 200


@pytest.mark.parametrize("gone", ["encoder", "decoder/model.onnx"])
def test_half_a_qnn_whisper_is_broken(qnn_whisper: Path, gone: str) -> None:
    path = qnn_whisper / "snapdragon-x-elite" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    (spec,) = qnn.recognise(look(qnn_whisper))
    assert spec.problem == (
        f"snapdragon-x-elite/{gone.split('/', maxsplit=1)[0]}/model.onnx is missing: download the model again"
    )
