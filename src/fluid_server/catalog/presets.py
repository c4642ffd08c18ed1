"""Models that are known to be good, each with its repository on the Hub: what `pull` takes by a short name.

The Hub was not asked for any of this. Every figure is from a source named beside its group, read in October 2026;
a repository that changes later has other sizes. ``estimated`` marks a size that no source gives exactly: it is rounded
by its source, put together from rounded sizes of its parts, or follows from a parameter count (`packed`).
"""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from fluid_server.catalog.footprint import FREE_SHARE, footprint
from fluid_server.types import Format, Kind

APACHE, MIT = "Apache-2.0", "MIT"
GEMMA = "Gemma Terms of Use"
LLAMA_31, LLAMA_32 = "Llama 3.1 Community License", "Llama 3.2 Community License"
OPENRAIL = "CreativeML Open RAIL-M"

INT4_GROUPS = 4 + (16 + 4) / 128  # bits: a 16-bit scale and a 4-bit zero point for each 128 weights
INT4_CHANNELS = 4.0  # one scale for a whole channel, as the NPU wants it
INT8 = 8.0
QWEN_TOKENIZER = 26_000_000  # tokenizer.json, vocab.json, merges.txt, OpenVINO's tokenizers and the graphs' xml

_SUGGESTED = 3
_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A known model. ``name`` is what is pulled: ``owner/repo``, with the quantisation where it is GGUF.

    ``size_bytes`` is the whole download, a vision model's projector included; ``parameters`` are billions.
    ``device`` is a hint: what the files are made for.
    """

    alias: str
    name: str
    format: Format
    kind: Kind
    size_bytes: int
    licence: str
    device: str
    summary: str
    parameters: float
    kv_bytes_per_token: int | None = None
    estimated: bool = False

    @property
    def memory_bytes(self) -> int:
        """What it takes while loaded, with a KV cache for 4,096 tokens where its shape is known: an estimate."""
        return footprint(self.format, self.size_bytes, self.kv_bytes_per_token)


class Fit(StrEnum):
    """Whether a machine has the memory for a model."""

    FITS = "fits"
    CROWDED = "fits when other programs are closed"
    TOO_LARGE = "too large"


def packed(parameters: float, bits: float, *, tables: float = 0.0, beside: int = 0) -> int:
    """Bytes of an OpenVINO folder: ``tables`` of the parameters are the vocabulary's and stay in 8 bits.

    Known sizes come out within 1 %: Qwen3-4B-int4-ov, Qwen3-8B-int4-ov and Qwen3-8B-int4-cw-ov.
    """
    return round(((parameters - tables) * bits + tables * INT8) / 8) + beside


def _kv(layers: int, heads: int, width: int) -> int:
    """Bytes a token takes in a 16-bit KV cache. The shapes are those of the models' own config.json."""
    return 2 * 2 * layers * heads * width


_ov = partial(Preset, format=Format.OPENVINO, device="CPU, GPU")
_npu = partial(Preset, format=Format.OPENVINO, device="NPU")
_gguf = partial(Preset, format=Format.GGUF, device="CPU, GPU")

# fmt: off
_TEXT_OPENVINO = (
    # Names: OpenVINO's collections on the Hub and OpenVINO Model Server's documentation. Sizes: to the byte from
    # contenox (modelregistry: what the Hub lists for each repository), of which three agree with other projects;
    # Qwen3-0.6B from its Hub page (openvino_model.bin 598 MB); Qwen3-1.7B by arithmetic (others say 1 to 1.1 GB).
    # Licences: the Hub's pages, and the base models' for conversions that repeat it.
    _ov(alias="qwen3-0.6b-ov", name="OpenVINO/Qwen3-0.6B-int8-ov", kind=Kind.TEXT, parameters=0.6,
        size_bytes=598_000_000 + QWEN_TOKENIZER, estimated=True, kv_bytes_per_token=_kv(28, 8, 128), licence=APACHE,
        summary="Smallest that holds a conversation; for little memory and quick tests"),
    _ov(alias="qwen3-1.7b-ov", name="OpenVINO/Qwen3-1.7B-int4-ov", kind=Kind.TEXT, parameters=1.72,
        size_bytes=packed(1.72e9, INT4_GROUPS, tables=0.311e9, beside=QWEN_TOKENIZER), estimated=True,
        kv_bytes_per_token=_kv(28, 8, 128), licence=APACHE, summary="Small and quick, with reasoning"),
    _ov(alias="qwen3-4b-ov", name="OpenVINO/Qwen3-4B-int4-ov", kind=Kind.TEXT, parameters=4.02,
        size_bytes=2_290_768_181, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
        summary="Good first choice for a laptop; reasoning and tools"),
    _ov(alias="phi-4-mini-ov", name="OpenVINO/Phi-4-mini-instruct-int4-ov", kind=Kind.TEXT, parameters=3.84,
        size_bytes=2_388_940_940, kv_bytes_per_token=_kv(32, 8, 128), licence=MIT,
        summary="Microsoft's small model; answers without thinking aloud"),
    _ov(alias="qwen3-8b-ov", name="OpenVINO/Qwen3-8B-int4-ov", kind=Kind.TEXT, parameters=8.19,
        size_bytes=4_882_865_352, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
        summary="Good general model for 16 GB of memory; reasoning and tools"),
    _ov(alias="qwen3-14b-ov", name="OpenVINO/Qwen3-14B-int4-ov", kind=Kind.TEXT, parameters=14.8,
        size_bytes=9_731_519_596, kv_bytes_per_token=_kv(40, 8, 128), licence=APACHE,
        summary="Better answers, for 32 GB of memory"),
    _ov(alias="gpt-oss-20b-ov", name="OpenVINO/gpt-oss-20b-int4-ov", kind=Kind.TEXT, parameters=20.9,
        size_bytes=12_623_951_367, kv_bytes_per_token=_kv(24, 8, 64), licence=APACHE,
        summary="OpenAI's open mixture of experts; reasoning and tools"),
    _ov(alias="qwen3-30b-a3b-ov", name="OpenVINO/Qwen3-30B-A3B-int4-ov", kind=Kind.TEXT, parameters=30.5,
        size_bytes=16_344_043_009, kv_bytes_per_token=_kv(48, 4, 128), licence=APACHE,
        summary="Mixture of experts: 3 of its 30 billion parameters work at a time"),
)

_TEXT_NPU = (
    # Names and licences: the collection "LLMs optimized for NPU" on the Hub, and a list of it with licences. Sizes:
    # Qwen3-8B is rounded by voxtype, which measured 4.75 GB; Phi-3.5-mini by arithmetic (others say 2.0 to 2.2 GB).
    _npu(alias="phi-3.5-mini-npu", name="OpenVINO/Phi-3.5-mini-instruct-int4-cw-ov", kind=Kind.TEXT, parameters=3.82,
         size_bytes=packed(3.82e9, INT4_CHANNELS, tables=0.197e9, beside=8_000_000), estimated=True,
         kv_bytes_per_token=_kv(32, 32, 96), licence=MIT, summary="Small model for an Intel NPU"),
    _npu(alias="qwen3-8b-npu", name="OpenVINO/Qwen3-8B-int4-cw-ov", kind=Kind.TEXT, parameters=8.19,
         size_bytes=4_750_000_000, estimated=True, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
         summary="General model for an Intel NPU; leaves CPU and GPU free"),
)

_TEXT_GGUF = (
    # Sizes: to the byte from pinned files (size and SHA-256) of public projects, most of them in two or more:
    # contenox (Qwen3, Phi-4-mini, gpt-oss, Qwen3-Coder), others for unsloth's Qwen3-0.6B and Llama-3.2, ggml-org's
    # gemma-3 and bartowski's Llama-3.1. Devstral to 0.1 GB from Lemonade's server_models.json.
    _gguf(alias="qwen3-0.6b", name="unsloth/Qwen3-0.6B-GGUF:Q4_K_M", kind=Kind.TEXT, parameters=0.6,
          size_bytes=396_705_472, kv_bytes_per_token=_kv(28, 8, 128), licence=APACHE,
          summary="Smallest that holds a conversation; for little memory and quick tests"),
    _gguf(alias="gemma-3-1b", name="ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", kind=Kind.TEXT, parameters=1.0,
          size_bytes=806_058_240, kv_bytes_per_token=_kv(26, 1, 256), licence=GEMMA,
          summary="Google's small model; many languages"),
    _gguf(alias="llama-3.2-3b", name="unsloth/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", kind=Kind.TEXT, parameters=3.21,
          size_bytes=2_019_377_600, kv_bytes_per_token=_kv(28, 8, 128), licence=LLAMA_32,
          summary="Meta's small model"),
    _gguf(alias="phi-4-mini", name="bartowski/microsoft_Phi-4-mini-instruct-GGUF:Q4_K_M", kind=Kind.TEXT,
          parameters=3.84, size_bytes=2_491_874_688, kv_bytes_per_token=_kv(32, 8, 128), licence=MIT,
          summary="Microsoft's small model; answers without thinking aloud"),
    _gguf(alias="qwen3-4b", name="Qwen/Qwen3-4B-GGUF:Q4_K_M", kind=Kind.TEXT, parameters=4.02,
          size_bytes=2_497_280_256, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
          summary="Good first choice for a laptop; reasoning and tools"),
    _gguf(alias="llama-3.1-8b", name="bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M", kind=Kind.TEXT,
          parameters=8.03, size_bytes=4_920_739_232, kv_bytes_per_token=_kv(32, 8, 128), licence=LLAMA_31,
          summary="Meta's general model; answers without thinking aloud"),
    _gguf(alias="qwen3-8b", name="Qwen/Qwen3-8B-GGUF:Q4_K_M", kind=Kind.TEXT, parameters=8.19,
          size_bytes=5_027_783_488, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
          summary="Good general model for 16 GB of memory; reasoning and tools"),
    _gguf(alias="qwen3-14b", name="Qwen/Qwen3-14B-GGUF:Q4_K_M", kind=Kind.TEXT, parameters=14.8,
          size_bytes=9_001_752_960, kv_bytes_per_token=_kv(40, 8, 128), licence=APACHE,
          summary="Better answers, for 32 GB of memory"),
    _gguf(alias="gpt-oss-20b", name="ggml-org/gpt-oss-20b-GGUF:MXFP4", kind=Kind.TEXT, parameters=20.9,
          size_bytes=12_109_566_560, kv_bytes_per_token=_kv(24, 8, 64), licence=APACHE,
          summary="OpenAI's open mixture of experts; reasoning and tools"),
    _gguf(alias="devstral-small", name="mistralai/Devstral-Small-2507_gguf:Q4_K_M", kind=Kind.TEXT, parameters=23.6,
          size_bytes=14_300_000_000, estimated=True, kv_bytes_per_token=_kv(40, 8, 128), licence=APACHE,
          summary="Mistral Small trained for programming agents"),
    _gguf(alias="qwen3-coder-30b", name="unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q4_K_M", kind=Kind.TEXT,
          parameters=30.5, size_bytes=18_556_689_568, kv_bytes_per_token=_kv(48, 4, 128), licence=APACHE,
          summary="Mixture of experts for programming: 3 of 30 billion parameters work at a time"),
)

_VISION = (
    # GGUF: language model and F16 projector, each to the byte from pinned files in two or more projects; the sums agree
    # with Lemonade's. Gemma 4's KV cache is shared between layers, so it is left out. OpenVINO: gemma-3 to the
    # byte from contenox; Qwen3-VL to 0.01 GB as its Hub page shows it (a second project says 5.5 GB).
    _gguf(alias="qwen3-vl-4b", name="Qwen/Qwen3-VL-4B-Instruct-GGUF:Q4_K_M", kind=Kind.VISION, parameters=4.44,
          size_bytes=2_497_281_664 + 836_180_256, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
          summary="Reads pictures, documents and screens"),
    _gguf(alias="qwen3.5-4b", name="unsloth/Qwen3.5-4B-GGUF:Q4_K_M", kind=Kind.VISION, parameters=4.66,
          size_bytes=2_740_937_888 + 672_423_616, kv_bytes_per_token=_kv(8, 4, 256), licence=APACHE,
          summary="Newer small model that also sees; long context takes little memory"),
    _gguf(alias="gemma-4-e4b", name="unsloth/gemma-4-E4B-it-GGUF:Q4_K_M", kind=Kind.VISION, parameters=8.0,
          size_bytes=4_977_171_584 + 990_372_672, licence=APACHE, summary="Google's model for laptops; many languages"),
    _ov(alias="gemma-3-4b-ov", name="OpenVINO/gemma-3-4b-it-int4-ov", kind=Kind.VISION, parameters=4.3,
        size_bytes=3_504_681_112, kv_bytes_per_token=_kv(34, 4, 256), licence=GEMMA,
        summary="Small model that also sees; many languages"),
    _ov(alias="qwen3-vl-8b-ov", name="OpenVINO/Qwen3-VL-8B-Instruct-int4-ov", kind=Kind.VISION, parameters=8.77,
        size_bytes=5_460_000_000, kv_bytes_per_token=_kv(36, 8, 128), licence=APACHE,
        summary="Reads pictures, documents, screens and video"),
)

_TRANSCRIPTION = (
    # Licences: the Hub's pages (turbo: the model card of its int4 sibling). Sizes: tiny and base to 0.1 MB from the
    # Hub's listings of the whole repository; small and medium to 0.1 MiB from Meetily's pinned files; large-v3 summed
    # from an older listing (encoder 645 MB, decoder 910 MB); turbo rounded by local-dictation (790 MiB).
    # No row for whisper.cpp's .bin files: no runtime here reads them. None for QNN: FluidInference's
    # whisper-large-v3-turbo-qnn exists, but no source gives its size or licence; Qualcomm's are not on the Hub.
    _ov(alias="whisper-tiny", name="OpenVINO/whisper-tiny-int8-ov", kind=Kind.TRANSCRIPTION, parameters=0.038,
        device="CPU, GPU, NPU", size_bytes=49_000_000, licence=APACHE, summary="Quickest; for clear speech"),
    _ov(alias="whisper-base", name="OpenVINO/whisper-base-int8-ov", kind=Kind.TRANSCRIPTION, parameters=0.073,
        device="CPU, GPU, NPU", size_bytes=84_900_000, licence=APACHE, summary="Quick; first choice without a GPU"),
    _ov(alias="whisper-small", name="OpenVINO/whisper-small-int8-ov", kind=Kind.TRANSCRIPTION, parameters=0.242,
        device="CPU, GPU, NPU", size_bytes=round(244.9 * 1024**2), licence=APACHE,
        summary="Fewer mistakes; many languages"),
    _ov(alias="whisper-medium", name="OpenVINO/whisper-medium-int8-ov", kind=Kind.TRANSCRIPTION, parameters=0.764,
        device="CPU, GPU, NPU", size_bytes=round(747.7 * 1024**2), licence=APACHE,
        summary="Good in many languages; slow without a GPU"),
    _ov(alias="whisper-large-v3-turbo", name="OpenVINO/whisper-large-v3-turbo-int8-ov", kind=Kind.TRANSCRIPTION,
        parameters=0.809, device="CPU, GPU, NPU", size_bytes=790 * 1024**2, estimated=True, licence=MIT,
        summary="Nearly as good as large-v3 and several times quicker"),
    _ov(alias="whisper-large-v3", name="OpenVINO/whisper-large-v3-int8-ov", kind=Kind.TRANSCRIPTION, parameters=1.54,
        device="CPU, GPU, NPU", size_bytes=645_000_000 + 910_000_000 + 12_000_000, estimated=True, licence=APACHE,
        summary="Fewest mistakes; wants a GPU"),
)

_EMBEDDING = (
    # GGUF: to the byte from pinned files. OpenVINO: Qwen3 from the int8 file of the same network in Qwen3-0.6B
    # (598 MB; others say 0.6 GB), bge rounded by a project that ships it (110 MB). Licences: the Hub's pages.
    _gguf(alias="nomic-embed-text-v1.5", name="nomic-ai/nomic-embed-text-v1.5-GGUF:Q4_K_M", kind=Kind.EMBEDDING,
          parameters=0.137, size_bytes=84_106_624, licence=APACHE, summary="Very small; English"),
    _gguf(alias="bge-m3", name="ggml-org/bge-m3-Q8_0-GGUF:Q8_0", kind=Kind.EMBEDDING, parameters=0.567,
          size_bytes=634_553_760, licence=MIT, summary="More than 100 languages, texts of up to 8,192 tokens"),
    _gguf(alias="qwen3-embedding-0.6b", name="Qwen/Qwen3-Embedding-0.6B-GGUF:Q8_0", kind=Kind.EMBEDDING,
          parameters=0.6, size_bytes=639_150_592, kv_bytes_per_token=_kv(28, 8, 128), licence=APACHE,
          summary="More than 100 languages and program code"),
    _ov(alias="bge-base-en-ov", name="OpenVINO/bge-base-en-v1.5-int8-ov", kind=Kind.EMBEDDING, parameters=0.109,
        size_bytes=110_000_000, estimated=True, licence=MIT, summary="Very small; English"),
    _ov(alias="qwen3-embedding-0.6b-ov", name="OpenVINO/Qwen3-Embedding-0.6B-int8-ov", kind=Kind.EMBEDDING,
        parameters=0.6, size_bytes=598_000_000 + QWEN_TOKENIZER, estimated=True, licence=APACHE,
        summary="More than 100 languages and program code"),
)

_RERANK = (
    # GGUF: to the byte from pinned files. OpenVINO: from the fp16 file of the same network in Qwen3-0.6B (1.19 GB).
    _gguf(alias="bge-reranker-v2-m3", name="gpustack/bge-reranker-v2-m3-GGUF:Q8_0", kind=Kind.RERANK, parameters=0.568,
          size_bytes=635_676_416, licence=APACHE, summary="Many languages"),
    _gguf(alias="qwen3-reranker-0.6b", name="ggml-org/Qwen3-Reranker-0.6B-Q8_0-GGUF:Q8_0", kind=Kind.RERANK,
          parameters=0.6, size_bytes=639_153_184, kv_bytes_per_token=_kv(28, 8, 128), licence=APACHE,
          summary="More than 100 languages and program code"),
    _ov(alias="qwen3-reranker-0.6b-ov", name="OpenVINO/Qwen3-Reranker-0.6B-seq-cls-fp16-ov", kind=Kind.RERANK,
        parameters=0.6, size_bytes=1_190_000_000 + QWEN_TOKENIZER, estimated=True, licence=APACHE,
        summary="More than 100 languages and program code"),
)

_IMAGE = (
    # Names: OpenVINO's collection "Image Generation". Sizes: Stable Diffusion summed from the Hub's listings of its
    # folders, without safety_checker (1.2 GB, not OpenVINO, not needed); LCM the same but for its VAE's encoder, taken
    # from its twin; FLUX: its T5 is 2.65 GB on the Hub, the transformer of 11.9 billion parameters by arithmetic.
    _ov(alias="lcm-dreamshaper-v7", name="OpenVINO/LCM_Dreamshaper_v7-int8-ov", kind=Kind.IMAGE, parameters=1.07,
        size_bytes=861_000_000 + 124_000_000 + 49_600_000 + 34_300_000 + 6_000_000, estimated=True, licence=MIT,
        summary="Pictures of 512 pixels in 4 steps"),
    _ov(alias="stable-diffusion-1.5", name="OpenVINO/stable-diffusion-v1-5-int8-ov", kind=Kind.IMAGE, parameters=1.07,
        size_bytes=862_000_000 + 124_000_000 + 49_600_000 + 34_300_000 + 6_000_000, estimated=True,
        licence=OPENRAIL, summary="Pictures of 512 pixels in about 20 steps"),
    _ov(alias="flux.1-schnell", name="OpenVINO/FLUX.1-schnell-int4-ov", kind=Kind.IMAGE, parameters=16.9, device="GPU",
        size_bytes=packed(11.9e9, INT4_GROUPS, beside=2_650_000_000 + 220_000_000), estimated=True, licence=APACHE,
        summary="Pictures of 1,024 pixels in 4 steps; wants a GPU"),
)
# fmt: on

PRESETS: tuple[Preset, ...] = (
    *_TEXT_OPENVINO,
    *_TEXT_NPU,
    *_TEXT_GGUF,
    *_VISION,
    *_TRANSCRIPTION,
    *_EMBEDDING,
    *_RERANK,
    *_IMAGE,
)

_BY_NAME = {preset.name.casefold(): preset for preset in PRESETS} | {preset.alias: preset for preset in PRESETS}


def preset(name: str) -> Preset | None:
    """The preset of that alias or full name, in any letter case."""
    return _BY_NAME.get(name.casefold())


def suggest(name: str) -> list[str]:
    """Up to three aliases that may be meant: those that contain it, then those that are spelt alike."""
    wanted = name[:_LONGEST].casefold().rpartition("/")[2].partition(":")[0]
    within = [each.alias for each in PRESETS if len(wanted) > 1 and wanted in each.alias]
    spelt = {_repository(each): each.alias for each in PRESETS} | {each.alias: each.alias for each in PRESETS}
    alike = [spelt[match] for match in difflib.get_close_matches(wanted, spelt, n=_SUGGESTED)]
    return list(dict.fromkeys([*within, *alike]))[:_SUGGESTED]


def _repository(one: Preset) -> str:
    """The repository's own name, as it would be typed."""
    return one.name.casefold().rpartition("/")[2].partition(":")[0]


def runs(one: Preset, served: Collection[tuple[Format, Kind]]) -> bool:
    """Whether a runtime is there for it; ``served`` are the pairs that the runtimes take."""
    return (one.format, one.kind) in served


def fits(one: Preset, *, memory_total: int, memory_available: int) -> Fit:
    """Whether a machine has the memory: models may take the same share of it as when they are loaded."""
    if one.memory_bytes <= memory_available * FREE_SHARE:
        return Fit.FITS
    return Fit.CROWDED if one.memory_bytes <= memory_total * FREE_SHARE else Fit.TOO_LARGE
