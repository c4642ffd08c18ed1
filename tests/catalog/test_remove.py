"""What goes from the disk when a model goes, and what stays."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from fluid_server.catalog.builtin import echo_spec
from fluid_server.catalog.remove import plan, remove
from fluid_server.catalog.resolve import find
from fluid_server.catalog.scan import scan
from fluid_server.errors import Conflict, InvalidRequest
from tests.front_door import MODELS

LINKS = pytest.mark.skipif(sys.platform == "win32", reason="on Windows links need rights that tests lack")
GGUF, OPENVINO = MODELS / "llm" / "fluid-tiny-gguf", MODELS / "llm" / "fluid-tiny-ov"
F16, Q8 = "fluid-tiny-F16.gguf", "fluid-tiny-Q8_0.gguf"


def ids(folder: Path) -> list[str]:
    return [spec.id for spec in scan(folder)]


def gone(folder: Path, name: str) -> list[str]:
    """Remove a model; returns what is listed then."""
    specs = scan(folder)
    remove(plan(find(specs, name), specs, folder))
    return ids(folder)


def names(folder: Path) -> set[str]:
    """All that lies below a folder but for the empty place of what was thrown away."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")} - {".downloads"}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """``owner/gguf`` with two quantisations and a record of where they came from."""
    home = tmp_path / "models" / "owner" / "gguf"
    shutil.copytree(GGUF, home)
    record = {"repo": "owner/gguf", "files": {name: {"size": 1} for name in (F16, Q8, "generation_config.json")}}
    (home / ".fluid.json").write_text(json.dumps(record), encoding="utf-8")
    return tmp_path / "models"


def test_a_folder_goes_as_a_whole_and_its_owner_with_it(tmp_path: Path) -> None:
    shutil.copytree(OPENVINO, tmp_path / "owner" / "ov")
    (tmp_path / "owner" / "ov" / ".fluid.json").write_text("{}", encoding="utf-8")
    assert gone(tmp_path, "ov") == []
    assert names(tmp_path) == set()


def test_what_came_with_the_program_is_not_removed(tmp_path: Path) -> None:
    specs = scan(tmp_path, MODELS)
    with pytest.raises(InvalidRequest, match="in the program's own folder"):
        plan(find(specs, "fluid-tiny-ov"), specs, tmp_path)


def test_a_folder_that_sorts_by_kind_stays(tmp_path: Path) -> None:
    shutil.copytree(OPENVINO, tmp_path / "llm" / "ov")
    assert gone(tmp_path, "ov") == []
    assert names(tmp_path) == {"llm"}


def test_the_plan_says_how_much_and_changes_nothing(models: Path) -> None:
    specs = scan(models)
    removal = plan(find(specs, "gguf:F16"), specs, models)
    assert removal.paths == (models / "owner" / "gguf" / F16,)
    assert removal.bytes == (GGUF / F16).stat().st_size
    assert len(ids(models)) == 2


def test_one_quantisation_leaves_the_other_and_the_record(models: Path) -> None:
    assert gone(models, "gguf:F16") == ["gguf"]
    home = models / "owner" / "gguf"
    assert {file.name for file in home.iterdir()} == {Q8, "generation_config.json", ".fluid.json"}
    assert set(json.loads((home / ".fluid.json").read_text(encoding="utf-8"))["files"]) == {
        Q8,
        "generation_config.json",
    }


def test_the_last_quantisation_takes_everything_along(models: Path) -> None:
    (models / "owner" / "gguf" / ".cache").mkdir()
    gone(models, "gguf:F16")
    assert gone(models, "gguf") == []
    assert names(models) == set()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"files": 1}'])
def test_a_record_that_nobody_can_read_is_left(models: Path, text: str) -> None:
    record = models / "owner" / "gguf" / ".fluid.json"
    record.write_text(text, encoding="utf-8")
    assert gone(models, "gguf:F16") == ["gguf"]
    assert record.read_text(encoding="utf-8") == text


def test_a_projector_stays_as_long_as_a_model_needs_it(models: Path) -> None:
    home = models / "owner" / "gguf"
    shutil.copy(home / Q8, home / "mmproj-F16.gguf")
    assert gone(models, "gguf:F16") == ["gguf"]
    assert (home / "mmproj-F16.gguf").is_file()
    assert gone(models, "gguf") == []
    assert names(models) == set()


def test_weights_in_folders_below_stay(models: Path) -> None:
    below = models / "owner" / "gguf" / "more"
    below.mkdir()
    shutil.copy(GGUF / Q8, below)
    gone(models, "gguf:F16")
    gone(models, "gguf")
    assert names(models) == {"owner", "owner/gguf", "owner/gguf/more", f"owner/gguf/more/{Q8}"}


def test_all_parts_of_a_split_model_go(tmp_path: Path) -> None:
    home = tmp_path / "llm" / "split"
    home.mkdir(parents=True)
    parts = [home / f"big-0000{part}-of-00003.gguf" for part in (1, 2)]
    for part in parts:
        part.write_bytes(b"GGUF")
    shutil.copy(GGUF / Q8, home / "other-Q8_0.gguf")
    broken = next(spec for spec in scan(tmp_path) if spec.problem)
    assert set(plan(broken, scan(tmp_path), tmp_path).paths) == set(parts)


@pytest.mark.parametrize("place", [Path(), Path("llm")])
def test_a_file_of_its_own_goes_alone(tmp_path: Path, place: Path) -> None:
    (tmp_path / place).mkdir(exist_ok=True)
    for name in (F16, Q8):
        shutil.copy(GGUF / name, tmp_path / place)
    assert gone(tmp_path, "fluid-tiny-F16") == ["fluid-tiny-Q8_0"]
    assert gone(tmp_path, "fluid-tiny-Q8_0") == []
    assert (tmp_path / place).is_dir()


def test_a_broken_model_can_go(tmp_path: Path) -> None:
    (tmp_path / "owner" / "half").mkdir(parents=True)
    (tmp_path / "owner" / "half" / "model.gguf.part").write_bytes(b"GG")
    assert gone(tmp_path, "half") == []
    assert names(tmp_path) == set()


@pytest.mark.parametrize("below", ["more", "voices", "more/deeper"])
def test_of_an_openvino_folder_with_other_weights_only_its_own_files_go(tmp_path: Path, below: str) -> None:
    home = Path(shutil.copytree(OPENVINO, tmp_path / "llm" / "ov"))
    (home / below).mkdir(parents=True)
    shutil.copy(GGUF / Q8, home / below / "big.gguf")
    shutil.copy(GGUF / Q8, home / "beside.gguf")
    gone(tmp_path, "ov")
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {"big.gguf", "beside.gguf"}


def test_an_openvino_folder_goes_with_what_is_no_model(tmp_path: Path) -> None:
    home = Path(shutil.copytree(OPENVINO, tmp_path / "llm" / "ov"))
    (home / "pictures").mkdir()
    (home / "pictures" / "logo.png").write_bytes(b"x")
    (home / "tokenizer.json.part").write_bytes(b"x")
    gone(tmp_path, "ov")
    assert names(tmp_path) == {"llm"}


def test_an_image_pipeline_keeps_to_its_parts(tmp_path: Path) -> None:
    home, other = tmp_path / "images" / "sd", tmp_path / "images" / "other"
    for folder in (home / "unet", home / "more", other):
        folder.mkdir(parents=True)
        (folder / "openvino_model.xml").write_text("", encoding="utf-8")
    (home / "model_index.json").write_text(json.dumps({"unet": ["x", "y"], "../other": []}), encoding="utf-8")
    specs = scan(tmp_path)
    assert set(plan(find(specs, "sd"), specs, tmp_path).paths) == {
        home / "model_index.json",
        home / "unet" / "openvino_model.xml",
    }


def test_a_qnn_model_keeps_to_its_chipsets(tmp_path: Path) -> None:
    home = tmp_path / "whisper" / "npu"
    places = ("encoder/model.onnx", "decoder/model.onnx", "decoder/weights.bin", "metadata.json")
    for place in (f"SM8650/{name}" for name in places):
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_bytes(b"x")
    specs = scan(tmp_path)
    assert plan(find(specs, "npu"), specs, tmp_path).paths == (home,)
    (home / "more").mkdir()
    shutil.copy(GGUF / Q8, home / "more")
    gone(tmp_path, "npu")
    assert {file.name for file in tmp_path.rglob("*") if file.is_file()} == {Q8}


def test_a_folder_that_nobody_looked_into_is_left_to_people(tmp_path: Path) -> None:
    deep = tmp_path / "1" / "2" / "3" / "4" / "5"
    deep.mkdir(parents=True)
    shutil.copy(GGUF / Q8, deep)
    with pytest.raises(InvalidRequest, match="by hand"):
        gone(tmp_path, "4")
    assert (deep / Q8).is_file()


def test_what_looks_nothing_like_a_model_is_left_to_people(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("x", encoding="utf-8")
    with pytest.raises(InvalidRequest, match="looks like a model: look at it and remove it by hand"):
        gone(tmp_path, "notes")
    assert (tmp_path / "notes" / "thesis.txt").is_file()


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "x.gguf.part", ".fluid.json"])
def test_the_remains_of_a_model_can_go(tmp_path: Path, name: str) -> None:
    home = tmp_path / "llm" / "half"
    home.mkdir(parents=True)
    (home / name).write_bytes(b"{}")
    specs = scan(tmp_path)
    removal = plan(find(specs, "half"), specs, tmp_path)
    assert (removal.paths, removal.files, removal.bytes) == ((home,), 1, 2)


def test_of_an_owner_with_a_file_of_its_own_the_models_stay(tmp_path: Path) -> None:
    shutil.copytree(OPENVINO, tmp_path / "own" / "ov")
    shutil.copy(GGUF / Q8, tmp_path / "own")
    assert gone(tmp_path, "own") == ["ov"]


def test_what_is_built_in_cannot_go(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="built in"):
        plan(echo_spec(), (echo_spec(),), tmp_path)


@LINKS
@pytest.mark.parametrize("source", [OPENVINO, GGUF])
def test_of_a_linked_folder_only_the_link_goes(tmp_path: Path, source: Path) -> None:
    real = Path(shutil.copytree(source, tmp_path / "real"))
    (real / Q8).unlink(missing_ok=True)
    (tmp_path / "models" / "llm").mkdir(parents=True)
    (tmp_path / "models" / "llm" / "linked").symlink_to(real, target_is_directory=True)
    before = names(real)
    assert gone(tmp_path / "models", "linked") == []
    assert names(real) == before


@LINKS
def test_linked_files_lose_only_their_links(models: Path, tmp_path: Path) -> None:
    home = models / "owner" / "gguf"
    real = (home / F16).rename(tmp_path / "blob")
    (home / F16).symlink_to(real)
    assert plan(find(scan(models), "gguf:F16"), scan(models), models).bytes == 0
    assert gone(models, "gguf:F16") == ["gguf"]
    assert real.is_file()


@LINKS
def test_nothing_outside_of_the_models_folder_goes(models: Path, tmp_path: Path) -> None:
    real = (models / "owner").rename(tmp_path / "elsewhere")
    (models / "owner").symlink_to(real, target_is_directory=True)
    with pytest.raises(InvalidRequest, match="outside the models folder"):
        gone(models, "gguf:F16")
    assert (real / "gguf" / F16).is_file()


@LINKS
def test_a_link_that_leads_nowhere_can_go(models: Path) -> None:
    home = models / "owner" / "gguf"
    (home / F16).unlink()
    (home / F16).symlink_to(models / "nothing")
    assert len(ids(models)) == 2
    assert gone(models, "gguf:F16") == ["gguf"]


def test_either_all_of_it_goes_or_nothing(tmp_path: Path) -> None:
    home = tmp_path / "llm" / "split"
    home.mkdir(parents=True)
    first, second = (home / f"big-0000{part}-of-00002.gguf" for part in (1, 2))
    for file in (first, second):
        file.write_bytes(b"GGUF")
    shutil.copy(GGUF / Q8, home)
    specs = scan(tmp_path)
    removal = plan(find(specs, first.name), specs, tmp_path)
    second.unlink()
    with pytest.raises(Conflict, match=r"cannot be removed: .*Close the programs"):
        remove(removal)
    assert first.is_file()


def test_what_could_not_be_deleted_another_time_is_deleted_now(models: Path) -> None:
    (models / ".downloads" / "trash-1").mkdir(parents=True)
    (models / ".downloads" / "job").mkdir()
    gone(models, "gguf:F16")
    assert [left.name for left in (models / ".downloads").iterdir()] == ["job"]
