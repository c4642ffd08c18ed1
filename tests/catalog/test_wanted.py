"""From a name and a listing to files: what people type, and what repositories look like."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fluid_server.catalog.portable import is_portable_path
from fluid_server.catalog.remote import Listing, RemoteFile
from fluid_server.catalog.scan import scan
from fluid_server.catalog.wanted import Chosen, Wanted, choose, parse
from fluid_server.errors import InvalidRequest
from fluid_server.types import Format, ModelSpec

MODELS = Path(__file__).parents[2] / "models"
SHARED = Path(__file__).parents[3] / "shared"
CLUTTER = {"README.md": 10, ".gitattributes": 5, "LICENSE": 9, "images/logo.png": 7, "model.safetensors": 99}


# Names


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("owner/repo", Wanted(repo="owner/repo")),
        (" owner/repo ", Wanted(repo="owner/repo")),
        ("owner/repo:latest", Wanted(repo="owner/repo")),
        ("Qwen/Qwen2.5-7B_x-GGUF", Wanted(repo="Qwen/Qwen2.5-7B_x-GGUF")),
        ("owner/repo:Q4_K_M", Wanted(repo="owner/repo", quantization="Q4_K_M")),
        ("owner/repo:UD-Q4_K_XL", Wanted(repo="owner/repo", quantization="UD-Q4_K_XL")),
        ("owner/repo@dev", Wanted(repo="owner/repo", revision="dev")),
        ("owner/repo@refs/pr/1", Wanted(repo="owner/repo", revision="refs/pr/1")),
        ("owner/repo@v1.0:q8_0", Wanted(repo="owner/repo", revision="v1.0", quantization="q8_0")),
        ("owner/repo/a.gguf", Wanted(repo="owner/repo", file="a.gguf")),
        ("owner/repo/sub/A b.GGUF", Wanted(repo="owner/repo", file="sub/A b.GGUF")),
        ("owner/repo@dev/sub/a.gguf", Wanted(repo="owner/repo", revision="dev", file="sub/a.gguf")),
        ("owner/repo@refs/pr/1/a.gguf", Wanted(repo="owner/repo", revision="refs/pr/1", file="a.gguf")),
        ("https://huggingface.co/owner/repo", Wanted(repo="owner/repo")),
        ("https://huggingface.co/owner/repo/", Wanted(repo="owner/repo")),
        ("https://huggingface.co/owner/repo#top", Wanted(repo="owner/repo")),
        ("owner/repo/", Wanted(repo="owner/repo")),
        ("hf.co/owner/repo:Q4_K_M", Wanted(repo="owner/repo", quantization="Q4_K_M")),
        ("https://huggingface.co/owner/repo/tree/dev", Wanted(repo="owner/repo", revision="dev")),
        ("huggingface.co/owner/repo/blob/main/a.gguf?download=true", Wanted(repo="owner/repo", file="a.gguf")),
        ("https://hf.co/owner/repo/resolve/main/x/a.gguf", Wanted(repo="owner/repo", file="x/a.gguf")),
    ],
)
def test_a_name_is_read(name: str, wanted: Wanted) -> None:
    assert parse(name) == wanted


@pytest.mark.parametrize(
    "name",
    [
        "", "repo", "owner/", "/repo", "/owner/repo", "owner//repo", "C:/models/x.gguf", "C:\\x.gguf",
        "owner/repo:", "owner/repo@", "owner/repo:Q4:Q5", "owner/repo:Q4/x.gguf", "owner/repo/x.gguf:Q4",
        "owner/..", "../repo", "owner/repo/../x.gguf", "owner/repo/.x.gguf", "owner/repo/nul.gguf", "owner/re po",
        "owner/repo/a\\b.gguf", "owner/-repo", "owner/repo.git", "owner/re--po", "ow\u00e9r/repo", "owner/re\npo",
        "file:///etc/passwd", "http://example.com/owner/repo", "o/" + "r" * 96, "owner/repo/" + "x" * 600 + ".gguf",
    ],
)  # fmt: skip
def test_what_is_no_name_gets_help(name: str) -> None:
    with pytest.raises(InvalidRequest, match=r"'owner/repo:Q4_K_M'.*'owner/repo@revision'") as raised:
        parse(name)
    assert raised.value.param == "model"


@pytest.mark.parametrize(
    ("name", "help_"),
    [
        ("owner/repo/model.safetensors", r"only \.gguf ones.*'owner/repo'"),
        ("owner/repo/config.json", r"only \.gguf ones"),
        ("owner/repo@a..b", "branch, tag or commit"),
        ("owner/repo@dév", "branch, tag or commit"),
        ("cache/repo", "'cache' is a reserved word"),
        ("owner/nul", "'nul' is a reserved word"),
        ("con.x/repo", "'con' is a reserved word"),
    ],
)
def test_what_cannot_be_had_gets_its_reason(name: str, help_: str) -> None:
    with pytest.raises(InvalidRequest, match=help_):
        parse(name)


@settings(deadline=None)
@given(st.one_of(st.text(), st.from_regex(r"[\w.-]+/[\w.-]+(@[\w/]+)?(:\w+|/[\w./ -]+\.gguf)?", fullmatch=True)))
def test_no_name_does_harm(name: str) -> None:
    try:
        wanted = parse(name)
    except InvalidRequest:
        return
    assert is_portable_path(wanted.repo)
    assert wanted.repo.count("/") == 1
    assert wanted.file is None or is_portable_path(wanted.file)


# GGUF


def listed(files: Iterable[str] | Mapping[str, int], *, clutter: bool = True) -> Listing:
    sizes = dict(files) if isinstance(files, Mapping) else dict.fromkeys(files, 100)
    every = {**sizes, **(CLUTTER if clutter else {})}
    remote = (RemoteFile(path=path, size=size, git_sha1="0" * 40) for path, size in every.items())
    return Listing(repo="owner/repo", revision="0" * 40, files=tuple(remote))


def chosen(files: Iterable[str] | Mapping[str, int], what: str = "") -> dict[str, str]:
    """The file in the repository → its place."""
    made = choose(listed(files), parse(f"owner/repo{what}"))
    assert (made.format, made.folder) == (Format.GGUF, "owner/repo")
    return {file.path: place for file, place in made.files}


def names(*quantizations: str, stem: str = "Qwen2.5-7B-Instruct") -> list[str]:
    return [f"{stem}-{quantization}.gguf" for quantization in quantizations]


@pytest.mark.parametrize(
    ("there", "best"),
    [
        (["Q2_K", "Q4_K_M", "Q8_0", "F16"], "Q4_K_M"),
        (["IQ2_M", "Q4_K_S", "Q5_K_M"], "Q4_K_S"),
        (["F16", "Q8_0"], "Q8_0"),
        (["F32", "BF16", "F16"], "F16"),
        (["UD-IQ1_S", "UD-Q4_K_XL", "UD-Q8_K_XL", "BF16"], "UD-Q4_K_XL"),
        (["q4_0", "f16"], "q4_0"),
        (["MXFP4_MOE", "BF16"], "BF16"),
        (["Q2_K", "IQ1_S"], "Q2_K"),
    ],
)
def test_the_bare_name_means_what_fits_most_machines_well(there: list[str], best: str) -> None:
    sizes = {name: 1000 if "Q2" in name else 10 for name in names(*there)}
    assert list(chosen(sizes)) == names(best)


def test_of_unknown_names_the_smallest_is_taken() -> None:
    assert list(chosen({"phi-3-fp16.gguf": 900, "phi-3-q4.gguf": 300})) == ["phi-3-q4.gguf"]


@pytest.mark.parametrize("asked", ["Q8_0", "q8_0", "Q8_0:latest"])
def test_a_quantisation_is_chosen_in_any_letter_case(asked: str) -> None:
    assert list(chosen(names("Q4_K_M", "Q8_0"), f":{asked}")) == names("Q8_0")


@pytest.mark.parametrize(
    ("asked", "there", "best"),
    [
        ("Q4_K_M", ["model.i1-Q4_K_M.gguf", "model.i1-Q4_K_S.gguf"], "model.i1-Q4_K_M.gguf"),
        ("Q4_K_XL", ["m-UD-Q4_K_XL.gguf", "m-Q4_K_M.gguf"], "m-UD-Q4_K_XL.gguf"),
        ("Q4_K_M", ["m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"], "m-Q4_K_M.gguf"),
        ("UD-Q4_K_M", ["m-UD-Q4_K_M.gguf", "m-Q4_K_M.gguf"], "m-UD-Q4_K_M.gguf"),
        ("fp16", ["phi-3-fp16.gguf", "phi-3-q4.gguf"], "phi-3-fp16.gguf"),
        ("phi-3-q4", ["phi-3-fp16.gguf", "phi-3-q4.gguf"], "phi-3-q4.gguf"),
        ("Q8_0", ["m.gguf", "m.Q8_0.gguf"], "m.Q8_0.gguf"),
    ],
)
def test_quantisations_are_found_in_all_their_spellings(asked: str, there: list[str], best: str) -> None:
    assert list(chosen(there, f":{asked}")) == [best]


def parts(stem: str, count: int) -> list[str]:
    return [f"{stem}-{part:05}-of-{count:05}.gguf" for part in range(1, count + 1)]


def test_the_parts_of_a_split_come_together_and_lose_their_folder() -> None:
    whole = parts("Q4_K_M/model-Q4_K_M", 3)
    assert chosen([*whole, *parts("BF16/model-BF16", 2)], ":Q4_K_M") == {
        name: name.removeprefix("Q4_K_M/") for name in whole
    }


def test_what_only_the_folder_tells_becomes_part_of_the_name() -> None:
    found = chosen([*parts("Q4_K_M/model", 2), "Q8_0/model.gguf"], ":q4_k_m")
    assert list(found.values()) == parts("model-Q4_K_M", 2)
    assert list(chosen(["Q4_K_M/model.gguf", "Q8_0/model.gguf"], ":Q8_0").values()) == ["model-Q8_0.gguf"]


def test_a_split_that_lacks_a_part_is_not_begun() -> None:
    there = [*parts("m-Q4_K_M", 3)[:2], "m-Q8_0.gguf"]
    with pytest.raises(InvalidRequest, match=r"lacks m-Q4_K_M-00003-of-00003\.gguf.*Q8_0 \(0\.0 MB\)"):
        chosen(there)


@pytest.mark.parametrize("file", ["a-Q8_0.gguf", "A-q8_0.GGUF", "deep/b-Q8_0.gguf", "b-Q8_0.gguf"])
def test_a_file_is_found_by_its_path_or_its_name(file: str) -> None:
    found = chosen(["a-Q8_0.gguf", "deep/b-Q8_0.gguf", "b-Q4_0.gguf"], f"/{file}")
    assert [name.casefold().endswith(file.casefold()) for name in found] == [True]
    assert all("/" not in place for place in found.values())


def test_a_part_stands_for_its_whole() -> None:
    whole = parts("sub/m-Q8_0", 3)
    assert list(chosen([*whole, "m-Q4_0.gguf"], f"/{whole[1]}")) == whole


@pytest.mark.parametrize(
    ("there", "best"),
    [
        (["mmproj-F32.gguf", "mmproj-BF16.gguf", "mmproj-F16.gguf", "mmproj-Q8_0.gguf"], "mmproj-F16.gguf"),
        (["mmproj-model-f32.gguf", "mmproj-model-f16.gguf"], "mmproj-model-f16.gguf"),
        (["mmproj-m-Q8_0.gguf", "mmproj-m-BF16.gguf"], "mmproj-m-BF16.gguf"),
        (["gemma-mmproj-Q8_0.gguf"], "gemma-mmproj-Q8_0.gguf"),
        (["mmproj.gguf"], "mmproj.gguf"),
    ],
)
@pytest.mark.parametrize("what", ["", ":Q8_0", "/gemma-Q8_0.gguf"])
def test_a_model_that_sees_brings_its_best_projector(there: list[str], best: str, what: str) -> None:
    found = chosen([*there, "gemma-Q8_0.gguf", "gemma-F32.gguf"], what)
    assert sorted(found) == sorted(["gemma-Q8_0.gguf", best])


def test_a_projector_from_a_folder_is_put_beside_its_model() -> None:
    found = chosen(["Q8_0/m.gguf", "mmproj/mmproj-F16.gguf", "mmproj/mmproj-F32.gguf"])
    assert found == {"Q8_0/m.gguf": "m-Q8_0.gguf", "mmproj/mmproj-F16.gguf": "mmproj-F16.gguf"}


def test_a_projector_can_be_asked_for_by_itself() -> None:
    there = ["m-Q8_0.gguf", "mmproj-F16.gguf", "mmproj-BF16.gguf"]
    assert list(chosen(there, "/mmproj-BF16.gguf")) == ["mmproj-BF16.gguf"]


def test_what_was_used_to_make_the_model_stays_there() -> None:
    there = ["m-Q4_K_M.gguf", "m-imatrix.gguf", "imatrix_unsloth.gguf", "m.imatrix", "config.json", "params"]
    assert list(chosen(there)) == ["m-Q4_K_M.gguf"]


def test_the_small_files_that_are_read_beside_come_along() -> None:
    beside = {"chat_template.jinja", "generation_config.json"}
    assert set(chosen(["m-Q4_K_M.gguf", *beside, "tokenizer.json", "config.json"])) == {"m-Q4_K_M.gguf", *beside}


@pytest.mark.parametrize("what", [":Q3_K_M", "/other.gguf"])
def test_what_is_not_there_is_answered_with_what_is(what: str) -> None:
    there = {"m-Q4_K_M.gguf": 2_500_000_000, "Q8_0/m.gguf": 4_000_000_000, "mmproj-F16.gguf": 1}
    with pytest.raises(InvalidRequest, match=r"It has: .*Q4_K_M \(2\.5 GB\).*Q8_0 \(4\.0 GB\)") as raised:
        chosen(there, what)
    assert raised.value.param == "model"


@pytest.mark.parametrize("what", ["", ":Q4_K_M"])
def test_models_that_only_their_files_tell_apart_must_be_named(what: str) -> None:
    with pytest.raises(InvalidRequest, match=r"'owner/repo/a-Q4_K_M\.gguf', 'owner/repo/b-Q4_K_M\.gguf'"):
        chosen(["a-Q4_K_M.gguf", "b-Q4_K_M.gguf", "c-Q8_0.gguf"], what)


def test_what_lies_at_the_top_goes_before_what_lies_deeper() -> None:
    assert list(chosen(["old/m-Q4_K_M.gguf", "m-Q4_K_M.gguf"])) == ["m-Q4_K_M.gguf"]


def test_a_repository_of_projectors_alone_has_no_model() -> None:
    with pytest.raises(InvalidRequest, match="no GGUF model"):
        chosen(["mmproj-F16.gguf"])


def test_a_repository_with_a_great_many_models_is_answered_briefly() -> None:
    with pytest.raises(InvalidRequest, match="…") as raised:
        chosen(names(*(f"Q{number}_0" for number in range(10, 99))), ":F16")
    assert len(raised.value.message) < 2000


# The other forms


def places(files: Iterable[str], what: str = "") -> tuple[Format, set[str]]:
    made = choose(listed(files), parse(f"owner/repo{what}"))
    assert all(file.path == place for file, place in made.files)
    return made.format, {place for _, place in made.files}


IR = {"openvino_model.xml", "openvino_model.bin", "config.json", "tokenizer.json"}


def test_of_an_openvino_repository_only_what_is_read_is_fetched() -> None:
    extra = {"openvino_tokenizer.xml", "openvino_tokenizer.bin", "chat_template.jinja", "generation_config.json"}
    waste = ["pytorch_model.bin", "tokenizer.model", "training_args.json", "onnx/model.onnx", "sub/config.json"]
    assert places([*IR, *extra, *waste]) == (Format.OPENVINO, IR | extra)


def test_openvino_goes_before_gguf_unless_a_quantisation_is_named() -> None:
    there = [*IR, "m-Q4_K_M.gguf"]
    assert places(there) == (Format.OPENVINO, IR)
    assert places(there, ":Q4_K_M") == (Format.GGUF, {"m-Q4_K_M.gguf"})
    assert places(there, "/m-Q4_K_M.gguf") == (Format.GGUF, {"m-Q4_K_M.gguf"})


def test_an_openvino_repository_has_no_quantisations() -> None:
    with pytest.raises(InvalidRequest, match="Ask for 'owner/repo'"):
        places(IR, ":int4")


def test_whisper_for_qualcomm_brings_all_its_chipsets() -> None:
    graphs = {f"{chip}/{half}/model.onnx" for chip in ("snapdragon-x-elite", "[x]") for half in ("encoder", "decoder")}
    wanted = {*graphs, "[x]/encoder/model.bin", "[x]/metadata.json", "config.json", "tokenizer.json"}
    waste = [
        "docs/encoder/notes.txt",
        "[x]/readme.txt",
        "[x]/encoder/deep/x.bin",
        "other/model.onnx",
        "docs/metadata.json",
    ]
    assert places([*wanted, *waste]) == (Format.QNN, wanted)


def test_an_embedding_model_brings_how_its_vectors_are_put_together() -> None:
    wanted = ["1_Pooling/config.json", "config.json", "modules.json", "openvino_model.bin", "openvino_model.xml"]
    waste = ["2_Normalize/config.json", "onnx/model.onnx", "1_Pooling/notes.md", "sentence_bert_config.json"]
    assert places([*wanted, *waste]) == (Format.OPENVINO, set(wanted))


@pytest.mark.parametrize(
    ("there", "help_"),
    [
        (["model.safetensors", "config.json"], "'repo GGUF' or 'repo OpenVINO'"),
        (["pytorch_model.bin"], "PyTorch"),
        (["model_index.json", "unet/diffusion_pytorch_model.safetensors"], "PyTorch"),
        (["onnx/model.onnx"], "no model for here"),
        (["int4/openvino_model.xml", "int4/openvino_model.bin"], "no model for here"),
        ([], "no model for here"),
        (["../evil.gguf", "/abs.gguf", "a\\b.gguf", ".hidden.gguf", "nul.gguf"], "no model for here"),
    ],
)
def test_a_repository_for_others_says_what_to_look_for(there: list[str], help_: str) -> None:
    with pytest.raises(InvalidRequest, match=help_):
        choose(listed(there, clutter=False), parse("owner/repo"))


hostile = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"([./\\a-cA-C]{1,4}/)?(m|M|mmproj|nul|\.\.)-?(Q4_K_M|F16)?\.(gguf|json|xml)", fullmatch=True),
    st.sampled_from(["openvino_model.xml", "config.json", "Q8_0/m.gguf", "x/encoder/model.onnx", "voices/a.bin"]),
)


@settings(deadline=None)
@given(st.lists(hostile, unique=True, max_size=12))
def test_no_listing_does_harm(paths: list[str]) -> None:
    try:
        made = choose(listed(paths, clutter=False), Wanted(repo="owner/repo"))
    except InvalidRequest:
        return
    taken = [place for _, place in made.files]
    assert taken
    assert all(is_portable_path(place) for place in taken)
    assert len({place.casefold() for place in taken}) == len(taken)
    assert {file.path for file, _ in made.files} <= set(paths)


# What is chosen is a model


def put(made: Chosen, source: Path, models: Path) -> Path:
    """Fetch by copying."""
    folder = models / made.folder
    for file, place in made.files:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file.path, folder / place)
    return folder


def listing_of(folder: Path) -> Listing:
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    return listed(files)


def fetched(folder: Path, models: Path, what: str = "") -> ModelSpec:
    made = choose(listing_of(folder), parse(f"owner/repo{what}"))
    put(made, folder, models)
    (spec,) = scan(models)
    assert spec.problem is None
    assert spec.format is made.format
    assert {"owner/repo"} & {spec.id, *spec.aliases}
    return spec


def folders(*roots: Path) -> Iterator[Path]:
    """Every folder below that holds a model."""
    for root in roots:
        if root.is_dir():
            yield from (folder for folder in sorted(root.iterdir()) if folder.is_dir() and list(folder.rglob("*.*")))


def clean_name(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", list(folders(MODELS / "llm", MODELS / "whisper")), ids=clean_name)
def test_what_is_chosen_of_our_own_models_is_whole(folder: Path, tmp_path: Path) -> None:
    before = {spec.kind for spec in scan(folder.parent) if spec.path.is_relative_to(folder)}
    assert {fetched(folder, tmp_path).kind} == before


@pytest.mark.skipif(not SHARED.is_dir(), reason="the models of every kind lie beside the repository, and not here")
@pytest.mark.parametrize("folder", list(folders(SHARED / "fixture-models")), ids=clean_name)
def test_what_is_chosen_of_every_kind_of_model_is_whole(folder: Path, tmp_path: Path) -> None:
    (before,) = (spec for spec in scan(folder.parent) if spec.id == folder.name)
    spec = fetched(folder, tmp_path)
    assert (spec.kind, spec.size_bytes, spec.context_length) == (before.kind, before.size_bytes, before.context_length)


@pytest.mark.parametrize("what", [":F16", ":q8_0", "/fluid-tiny-F16.gguf"])
def test_the_catalog_knows_a_fetched_quantisation_by_the_name_it_was_asked_by(what: str, tmp_path: Path) -> None:
    spec = fetched(MODELS / "llm" / "fluid-tiny-gguf", tmp_path, what)
    assert str(spec.quantization).casefold() in what.casefold()
