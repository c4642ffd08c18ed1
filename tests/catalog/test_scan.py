"""Walking a models folder: what is found, what it is called, and that nothing in it stops the walk."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fluid_server.catalog.scan import scan
from fluid_server.types import Kind, ModelSpec

WriteGguf = Callable[..., Path]
WriteIr = Callable[..., Path]

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


def found(folder: Path) -> dict[str, ModelSpec]:
    return {spec.id: spec for spec in scan(folder)}


def test_the_demo_models_are_all_there(models: Path) -> None:
    specs = found(models)
    assert {name: specs[name].kind for name in specs if name.startswith("fluid-tiny")} == {
        "fluid-tiny-gguf:F16": Kind.TEXT,
        "fluid-tiny-gguf:Q8_0": Kind.TEXT,
        "fluid-tiny-ov": Kind.TEXT,
        "fluid-tiny-whisper-ov": Kind.TRANSCRIPTION,
        "fluid-tiny-whisper-qnn": Kind.TRANSCRIPTION,
    }
    assert specs["fluid-tiny-gguf:Q8_0"].aliases == ("fluid-tiny-gguf",)
    assert specs["fluid-tiny-gguf:F16"].aliases == ()
    assert specs["fluid-tiny-gguf:F16"].kv_bytes_per_token == specs["fluid-tiny-ov"].kv_bytes_per_token


def test_a_folder_that_is_not_there_has_no_models(tmp_path: Path) -> None:
    assert scan(tmp_path / "nowhere") == ()
    assert scan(tmp_path) == ()


def test_what_came_with_the_program_is_listed_too_and_gives_way_to_the_folder_s_own(
    models: Path, tmp_path: Path
) -> None:
    own = tmp_path / "llm" / "fluid-tiny-ov"
    shutil.copytree(models / "llm" / "fluid-tiny-ov", own)
    specs = {spec.id: spec for spec in scan(tmp_path, models)}
    assert specs["fluid-tiny-ov"].path == own
    assert specs["fluid-tiny-gguf:F16"].path.is_relative_to(models)
    assert [spec.id for spec in scan(tmp_path / "nowhere", models)] == [spec.id for spec in scan(models)]
    assert [spec.id for spec in scan(models, models)] == [spec.id for spec in scan(models)]


def test_ids_come_sorted(write_gguf: WriteGguf, tmp_path: Path) -> None:
    for name in ("llm/b/x.gguf", "c.gguf", "a/owner/x.gguf"):
        write_gguf(name)
    assert [spec.id for spec in scan(tmp_path)] == ["b", "c", "owner"]


def test_a_folder_with_one_file_is_called_as_the_folder(write_gguf: WriteGguf, tmp_path: Path) -> None:
    path = write_gguf("llm/tiny/whatever.gguf")
    spec = found(tmp_path)["tiny"]
    assert (spec.path, spec.files, spec.size_bytes) == (path, (path,), path.stat().st_size)
    assert (spec.quantization, spec.aliases, spec.modified) == ("F16", (), path.stat().st_mtime)


def test_loose_files_are_called_by_their_stem(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("one.gguf", {"tokenizer.chat_template": "own"})
    write_gguf("llm/two.GGUF")
    (tmp_path / "chat_template.jinja").write_text("of nobody")
    assert list(found(tmp_path)) == ["one", "two"]
    assert found(tmp_path)["one"].chat_template == "own"


def test_the_bare_name_means_the_preferred_quantisation(write_gguf: WriteGguf, tmp_path: Path) -> None:
    for name, file_type in (("a", 0), ("b", 15), ("c", 18)):
        write_gguf(f"llm/m/{name}.gguf", {"general.file_type": file_type})
    specs = found(tmp_path)
    assert {name: spec.aliases for name, spec in specs.items()} == {
        "m:F32": (),
        "m:Q4_K_M": ("m",),
        "m:Q6_K": (),
    }


def test_a_broken_quantisation_is_not_preferred(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("llm/m/x-F32.gguf", {"general.file_type": 0})
    write_gguf("llm/m/x-Q4_K_M.gguf").write_bytes(b"GGUF")
    specs = found(tmp_path)
    assert specs["m:F32"].aliases == ("m",)
    assert specs["m:Q4_K_M"].problem == "x-Q4_K_M.gguf is cut short: download it again"


def test_quantisations_that_call_themselves_alike_go_by_their_names(write_gguf: WriteGguf, tmp_path: Path) -> None:
    for stem in ("x-Q4_K_M", "x-UD-Q4_K_XL"):
        write_gguf(f"llm/m/{stem}.gguf", {"general.file_type": 15})
    assert set(found(tmp_path)) == {"m:Q4_K_M", "m:UD-Q4_K_XL"}
    write_gguf("llm/m/other.gguf")
    assert set(found(tmp_path)) == {"m:x-Q4_K_M", "m:x-UD-Q4_K_XL", "m:other"}


def test_split_files_make_one_model(write_gguf: WriteGguf, tmp_path: Path) -> None:
    parts = [write_gguf(f"llm/big/big-{part:05}-of-00003.gguf") for part in (1, 2, 3)]
    spec = found(tmp_path)["big"]
    assert spec.problem is None
    assert (spec.path, spec.files) == (parts[0], tuple(parts))
    assert spec.size_bytes == sum(part.stat().st_size for part in parts)
    parts[1].unlink()
    broken = found(tmp_path)["big"]
    assert broken.problem == "big-00002-of-00003.gguf is missing: download the model again"


def test_a_cut_part_breaks_the_whole(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("llm/big/big-00001-of-00002.gguf")
    write_gguf("llm/big/big-00002-of-00002.gguf", data=8)
    assert "big-00002-of-00002.gguf is cut short" in str(found(tmp_path)["big"].problem)


@pytest.mark.parametrize(("name", "metadata"), [("mmproj-F16", {}), ("sight", {"general.architecture": "clip"})])
def test_a_projector_makes_its_neighbours_see(
    write_gguf: WriteGguf, tmp_path: Path, name: str, metadata: dict[str, Any]
) -> None:
    model = write_gguf("llm/m/model.gguf")
    projector = write_gguf(f"llm/m/{name}.gguf", metadata)
    (spec,) = scan(tmp_path)
    assert (spec.id, spec.kind, spec.mmproj) == ("m", Kind.VISION, projector)
    assert (spec.path, spec.files) == (model, (model, projector))


@pytest.mark.parametrize("best", ["F16", "BF16"])
def test_of_several_projectors_the_one_that_loses_nothing_is_used(
    best: str, write_gguf: WriteGguf, tmp_path: Path
) -> None:
    write_gguf("llm/m/m.gguf")
    for name in ("Q8_0", "F32", best):
        write_gguf(f"llm/m/mmproj-{name}.gguf", {"general.architecture": "clip"})
    assert found(tmp_path)["m"].mmproj == tmp_path / "llm" / "m" / f"mmproj-{best}.gguf"


def test_a_broken_projector_breaks_its_neighbours(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("llm/m/model.gguf")
    write_gguf("llm/m/mmproj.gguf", data=0)
    assert "mmproj.gguf is cut short" in str(found(tmp_path)["m"].problem)


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        ({"general.architecture": "clip"}, "projector"),
        ({"general.type": "adapter"}, "of the type adapter"),
        ({"general.type": "imatrix"}, "of the type imatrix"),
    ],
)
def test_what_belongs_to_another_model_is_none_itself(
    write_gguf: WriteGguf, tmp_path: Path, metadata: dict[str, Any], reason: str
) -> None:
    write_gguf("llm/part/x.gguf", metadata)
    assert reason in str(found(tmp_path)["part"].problem)


def test_an_adapter_beside_a_model_is_left_out(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("llm/m/model.gguf")
    write_gguf("llm/m/lora.gguf", {"general.type": "adapter"})
    (spec,) = scan(tmp_path)
    assert (spec.id, spec.problem) == ("m", None)


def test_a_repository_answers_to_its_full_name(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("owner/repo/x-F16.gguf")
    write_gguf("owner/repo/x-Q8_0.gguf", {"general.file_type": 7})
    specs = found(tmp_path)
    assert specs["repo:F16"].aliases == ("owner/repo:F16",)
    assert specs["repo:Q8_0"].aliases == ("owner/repo", "owner/repo:Q8_0", "repo")


def test_models_of_one_name_are_qualified_by_their_folders(
    write_gguf: WriteGguf, write_ir: WriteIr, tmp_path: Path
) -> None:
    write_gguf("llm/same/x.gguf")
    write_ir("whisper/same", "openvino_model", inputs=["beam_idx"])
    assert {spec.id: spec.aliases for spec in scan(tmp_path)} == {"llm/same": (), "whisper/same": ()}


def test_even_twins_in_folders_of_one_name_are_told_apart(write_gguf: WriteGguf, tmp_path: Path) -> None:
    for name in ("a/owner/repo/x.gguf", "b/owner/repo/x.gguf", "llm/repo.gguf"):
        write_gguf(name)
    assert [spec.id for spec in scan(tmp_path)] == ["a/owner/repo", "b/owner/repo", "llm/repo"]


def test_a_file_and_a_folder_of_one_name_are_told_apart(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("llm/m.gguf")
    write_gguf("llm/m/x.gguf")
    assert [spec.id for spec in scan(tmp_path)] == ["llm/m.gguf", "llm/x.gguf"]


def test_four_folders_deep_is_deep_enough(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("a/b/c/d/x.gguf")
    write_gguf("1/2/3/4/5/x.gguf")
    specs = found(tmp_path)
    assert specs["d"].problem is None
    assert "too deep" in str(specs["4"].problem)


def test_a_model_is_not_looked_into(write_gguf: WriteGguf, write_ir: WriteIr, tmp_path: Path) -> None:
    write_ir("llm/m", "openvino_model", inputs=["beam_idx"])
    write_gguf("llm/m/inner/x.gguf")
    assert list(found(tmp_path)) == ["m"]


def test_a_file_in_an_owners_folder_hides_no_model(write_gguf: WriteGguf, write_ir: WriteIr, tmp_path: Path) -> None:
    write_gguf("own/my.gguf")
    write_gguf("own/g/x.gguf")
    write_ir("own/ov", "openvino_model", inputs=["beam_idx"])
    (tmp_path / "own" / "notes").mkdir()
    specs = found(tmp_path)
    assert {name: spec.aliases for name, spec in specs.items()} == {"own": (), "g": ("own/g",), "ov": ("own/ov",)}


@needs_links
def test_a_circle_below_a_file_ends(write_gguf: WriteGguf, tmp_path: Path) -> None:
    home = write_gguf("own/my.gguf").parent
    (home / "again").symlink_to(home, target_is_directory=True)
    assert list(found(tmp_path)) == ["own"]


@pytest.mark.parametrize("name", ["cache/m/x.gguf", ".hidden/m/x.gguf", "m.incomplete/x.gguf", ".x.gguf"])
def test_what_is_no_concern_of_ours_is_skipped(write_gguf: WriteGguf, tmp_path: Path, name: str) -> None:
    write_gguf(name)
    assert scan(tmp_path) == ()


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([], "the folder is empty"),
        (["README.md"], "no model files that this server knows"),
        (["model.safetensors", "config.json"], "PyTorch weights"),
        (["x.gguf.part"], "download has not finished"),
        (["model.bin.incomplete", "config.json"], "download has not finished"),
        (["openvino_model.bin"], "openvino_model.xml is missing"),
    ],
)
def test_a_folder_that_is_no_model_says_why(tmp_path: Path, files: list[str], reason: str) -> None:
    folder = tmp_path / "llm/m"
    folder.mkdir(parents=True)
    for name in files:
        (folder / name).write_text("{}")
    (spec,) = scan(tmp_path)
    assert (spec.id, spec.kind, spec.files) == ("m", Kind.UNKNOWN, ())
    assert reason in str(spec.problem)


def test_empty_folders_that_only_sort_are_no_models(tmp_path: Path) -> None:
    for name in ("llm", "whisper", "owner", "cache"):
        (tmp_path / name).mkdir()
    assert scan(tmp_path) == ()


@needs_links
def test_links_that_lead_nowhere_are_listed(write_ir: WriteIr, tmp_path: Path) -> None:
    weights = write_ir("llm/m", "openvino_model") / "openvino_model.bin"
    weights.unlink()
    for link in (weights, tmp_path / "gone", tmp_path / "llm/lost.gguf"):
        link.symlink_to(tmp_path / "nothing")
    assert {name: spec.problem for name, spec in found(tmp_path).items()} == {
        "gone": "gone is a link to nothing",
        "lost": "lost.gguf is missing: download the model again",
        "m": "openvino_model.bin is missing: download the model again",
    }


@needs_links
def test_a_linked_folder_counts_and_a_circle_ends(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("elsewhere/x.gguf")
    (tmp_path / "models/llm").mkdir(parents=True)
    (tmp_path / "models/llm/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "models/llm/itself").symlink_to(tmp_path / "models/llm/itself")
    specs = found(tmp_path / "models")
    assert specs["linked"].problem is None
    assert specs["itself"].problem == "itself is a link to nothing"


def test_a_folder_that_may_not_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "llm/secret").mkdir(parents=True)
    really = os.scandir

    def refuse(path: Path) -> Any:
        if Path(path).name == "secret":
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr("os.scandir", refuse)
    (spec,) = scan(tmp_path)
    assert (spec.id, spec.problem) == ("secret", "secret cannot be read: permission denied")


def test_a_pipe_in_disguise_does_not_hold_up_the_scan(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    os.mkfifo(tmp_path / "trap.gguf")
    (spec,) = scan(tmp_path)
    assert spec.problem == "trap.gguf is missing: download the model again"


def test_a_change_on_disk_is_seen_by_the_next_scan(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "llm/m"
    shutil.copytree(models / "llm/fluid-tiny-ov", folder)
    assert found(tmp_path)["m"].problem is None
    (folder / "openvino_model.xml").write_text("no longer a graph")
    assert "not an OpenVINO graph" in str(found(tmp_path)["m"].problem)
    (folder / "openvino_model.bin").unlink()
    shutil.rmtree(folder)
    assert scan(tmp_path) == ()


def test_everything_found_can_be_told_as_json(write_gguf: WriteGguf, tmp_path: Path) -> None:
    write_gguf("llm/modèle été/x.gguf", {"general.architecture": "llama", "tokenizer.chat_template": "é"})
    try:
        (tmp_path / "llm" / os.fsdecode(b"odd-\xff")).mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system knows only Unicode names")
    (spec,) = scan(tmp_path)
    assert json.dumps(spec.id, ensure_ascii=False).encode() == '"modèle été"'.encode()
