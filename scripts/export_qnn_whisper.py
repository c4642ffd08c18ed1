"""Write a Whisper as the two ONNX graphs that `QNNWhisperRuntime` runs: Qualcomm AI Hub's contract, without torch.

    uv run --with onnx scripts/export_qnn_whisper.py CHECKPOINT MODEL [--compute float32] [--chipset cpu] [--quantised]

CHECKPOINT is a Hugging Face folder (config.json, model.safetensors in float32 or float16, tokenizer.json …). What is
written: MODEL/CHIPSET/encoder/model.onnx, MODEL/CHIPSET/decoder/model.onnx, MODEL/CHIPSET/metadata.json and, beside the
chipset's folder, the json files of the checkpoint. The graphs are not compiled for any chip: that is what the
chipset's name `cpu` says. onnxruntime's CPU provider runs them, and the QNN provider could compile them at load.

The contract: every shape is static, floats at the borders are float16, ids int32. With --quantised the borders are
those of the published w8a16 models: features, mask and logits uint16, caches uint8, with the scales in metadata.json.
`scripts/` and not the package holds this, since only who prepares a model needs it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17  # the last one before the operators that QNN's builders do not all know
QUANTISED_OPSET = 21  # the first one with 16-bit quantisation
FRAMES = 3000  # mel frames in a window of 30 s
SIDECARS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
BORDER = TensorProto.FLOAT16
ONNX_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}


@dataclass(frozen=True)
class Options:
    """``compute`` is the type inside the graphs. ``ranges``: the largest values of caches and logits, if quantised."""

    compute: str = "float32"
    ranges: tuple[float, float] | None = None


@dataclass(frozen=True)
class Quantised:
    """A border of whole numbers: value = scale * (number - zero_point)."""

    kind: int
    scale: float
    zero_point: int


def quantised(name: str, ranges: tuple[float, float], *, out: bool = False) -> Quantised:
    """As the published models have them: caches in 8 bits, everything else in 16.

    Each border is calibrated by itself, so what leaves the encoder need not have the scale at which the decoder takes
    it: here it has another one on purpose.
    """
    caches, logits = ranges
    if out and "cross" in name:
        caches *= 1.25
    low, high = {
        "input_features": (-2.0, 2.0),
        "attention_mask": (-100.0, 0.0),
        "logits": (-logits, logits),
    }.get(name, (-caches, caches))
    steps = 255 if "cache" in name else 65535
    kind = TensorProto.UINT8 if steps == 255 else TensorProto.UINT16
    scale = float(np.float32((high - low) / steps))
    return Quantised(kind, scale, round(-low / scale))


@dataclass
class Graph:
    """A graph being written. Values are named by strings; each method adds nodes and returns the name of the result."""

    weights: dict[str, np.ndarray]
    options: Options
    nodes: list[Any] = field(default_factory=list)
    constants: dict[str, Any] = field(default_factory=dict)
    inputs: list[Any] = field(default_factory=list)
    outputs: list[Any] = field(default_factory=list)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        return name

    def ints(self, *values: int) -> str:
        return self.constant("ints_" + "_".join(map(str, values)), np.array(values, np.int64))

    def number(self, value: float) -> str:
        return self.constant(f"number_{value:.6g}", np.array(value, self.compute))

    def floats(self, name: str, value: np.ndarray) -> str:
        """Weights lie in the file as float16; where the graph computes in float32 the cast is folded at load."""
        stored = self.constant(name, value.astype(np.float16))
        return stored if self.compute == "float16" else self.node("Cast", stored, to=ONNX_TYPES[self.compute])

    def weight(self, name: str, *, transposed: bool = False) -> str:
        value = self.weights[name]
        return self.floats(name + ("^T" if transposed else ""), value.T if transposed else value)

    @property
    def compute(self) -> str:
        return self.options.compute

    def ids(self, name: str, shape: Sequence[int]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.INT32, shape))
        return name

    def input(self, name: str, shape: Sequence[int]) -> str:
        if self.options.ranges is not None:
            border = quantised(name, self.options.ranges)
            self.inputs.append(helper.make_tensor_value_info(name, border.kind, shape))
            return self.node("DequantizeLinear", name, *self._steps(border))
        self.inputs.append(helper.make_tensor_value_info(name, BORDER, shape))
        return name if self.compute == "float16" else self.node("Cast", name, to=ONNX_TYPES[self.compute])

    def output(self, value: str, name: str, shape: Sequence[int]) -> None:
        if self.options.ranges is not None:
            border = quantised(name, self.options.ranges, out=True)
            self.outputs.append(helper.make_tensor_value_info(name, border.kind, shape))
            made = helper.make_node("QuantizeLinear", [value, *self._steps(border)], [name], name=f"out_{name}")
        else:
            self.outputs.append(helper.make_tensor_value_info(name, BORDER, shape))
            kind, attributes = ("Identity", {}) if self.compute == "float16" else ("Cast", {"to": BORDER})
            made = helper.make_node(kind, [value], [name], name=f"out_{name}", **attributes)
        self.nodes.append(made)

    def _steps(self, border: Quantised) -> tuple[str, str]:
        whole = helper.tensor_dtype_to_np_dtype(border.kind)
        scale = self.constant(f"scale_{border.scale:.9g}", np.array(border.scale, self.compute))
        zero = self.constant(f"zero_{border.zero_point}_{whole}", np.array(border.zero_point, whole))
        return scale, zero

    def linear(self, x: str, name: str, *, bias: bool = True) -> str:
        product = self.node("MatMul", x, self.weight(f"{name}.weight", transposed=True))
        return self.node("Add", product, self.weight(f"{name}.bias")) if bias else product

    def norm(self, x: str, name: str) -> str:
        scale, bias = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.node("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)

    def gelu(self, x: str) -> str:
        """By erf, as PyTorch's: onnxruntime and QNN both know the pattern."""
        erf = self.node("Erf", self.node("Div", x, self.number(2**0.5)))
        product = self.node("Mul", x, self.node("Add", erf, self.number(1.0)))
        return self.node("Mul", product, self.number(0.5))

    def feed_forward(self, x: str, layer: str) -> str:
        hidden = self.gelu(self.linear(self.norm(x, f"{layer}.final_layer_norm"), f"{layer}.fc1"))
        return self.node("Add", x, self.linear(hidden, f"{layer}.fc2"))

    def by_head(self, x: str, shape: tuple[int, int, int], order: tuple[int, ...]) -> str:
        """(1, length, width) → the length, heads and head's width of ``shape``, in the order that is asked for."""
        return self.node("Transpose", self.node("Reshape", x, self.ints(1, *shape)), perm=order)

    def attended(self, query: str, key: str, value: str, shape: tuple[int, int], mask: str | None = None) -> str:
        """query (heads,1,n,d), key (heads,1,d,m), value (heads,1,m,d) → (1, n, width), ``shape`` being (n, width)."""
        scores = self.node("MatMul", query, key)
        if mask is not None:
            scores = self.node("Add", scores, mask)
        mixed = self.node("MatMul", self.node("Softmax", scores, axis=-1), value)
        return self.node("Reshape", self.node("Transpose", mixed, perm=(1, 2, 0, 3)), self.ints(1, *shape))

    @property
    def opset(self) -> int:
        return OPSET if self.options.ranges is None else QUANTISED_OPSET

    def model(self, name: str) -> Any:
        graph = helper.make_graph(self.nodes, name, self.inputs, self.outputs, list(self.constants.values()))
        made = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9 if self.opset == OPSET else 10
        )
        made.producer_name = "fluid-server"
        onnx.checker.check_model(made, full_check=True)
        return made


@dataclass(frozen=True)
class Sizes:
    """What config.json says, by short names. ``tokens`` is T: how many places the decoder has."""

    width: int
    heads: int
    decoder_heads: int
    encoder_layers: int
    decoder_layers: int
    mels: int
    vocabulary: int
    positions: int
    tokens: int


QKV = ("q_proj", "k_proj", "v_proj")
AS_QUERY, AS_KEY, AS_VALUE = (2, 0, 1, 3), (2, 0, 3, 1), (2, 0, 1, 3)  # of (1, length, heads, width of a head)


def attention_inputs(graph: Graph, x: str, name: str, shape: tuple[int, int, int]) -> tuple[str, str, str]:
    """Query (scaled), key and value of one attention over x itself; Whisper's keys have no bias."""
    query = graph.linear(x, f"{name}.q_proj")
    query = graph.node("Mul", query, graph.number(shape[2] ** -0.5))
    key = graph.linear(x, f"{name}.k_proj", bias=False)
    value = graph.linear(x, f"{name}.v_proj")
    return (
        graph.by_head(query, shape, AS_QUERY),
        graph.by_head(key, shape, AS_KEY),
        graph.by_head(value, shape, AS_VALUE),
    )


def encoder(weights: dict[str, np.ndarray], sizes: Sizes, options: Options) -> Any:
    """input_features (1, mels, 3000) → the decoder's cross caches, k (heads,1,d,1500) and v (heads,1,1500,d)."""
    graph, here = Graph(weights, options), "model.encoder"
    x = graph.input("input_features", (1, sizes.mels, FRAMES))
    for conv, stride in (("conv1", 1), ("conv2", 2)):
        kernel, bias = graph.weight(f"{here}.{conv}.weight"), graph.weight(f"{here}.{conv}.bias")
        x = graph.gelu(graph.node("Conv", x, kernel, bias, kernel_shape=[3], pads=[1, 1], strides=[stride]))
    x = graph.node("Transpose", x, perm=(0, 2, 1))
    x = graph.node("Add", x, graph.weight(f"{here}.embed_positions.weight"))
    shape = (sizes.positions, sizes.heads, sizes.width // sizes.heads)
    for number in range(sizes.encoder_layers):
        layer = f"{here}.layers.{number}"
        normal = graph.norm(x, f"{layer}.self_attn_layer_norm")
        parts = attention_inputs(graph, normal, f"{layer}.self_attn", shape)
        mixed = graph.attended(*parts, (sizes.positions, sizes.width))
        x = graph.node("Add", x, graph.linear(mixed, f"{layer}.self_attn.out_proj"))
        x = graph.feed_forward(x, layer)
    x = graph.norm(x, f"{here}.layer_norm")
    heads, inside = sizes.decoder_heads, sizes.width // sizes.decoder_heads
    for number in range(sizes.decoder_layers):
        cross, shape = f"model.decoder.layers.{number}.encoder_attn", (sizes.positions, heads, inside)
        key = graph.by_head(graph.linear(x, f"{cross}.k_proj", bias=False), shape, AS_KEY)
        value = graph.by_head(graph.linear(x, f"{cross}.v_proj"), shape, AS_VALUE)
        graph.output(key, f"k_cache_cross_{number}", (heads, 1, inside, sizes.positions))
        graph.output(value, f"v_cache_cross_{number}", (heads, 1, sizes.positions, inside))
    return graph.model("encoder")


@dataclass(frozen=True)
class Layer:
    """One layer of the decoder: its name in the checkpoint, and the values of its caches."""

    name: str
    self_key: str
    self_value: str
    cross_key: str
    cross_value: str


def decoder_inputs(graph: Graph, sizes: Sizes) -> tuple[str, str, str, list[Layer]]:
    """ids, mask, position and the layers' caches, in the order in which AI Hub declares them."""
    heads, inside, past = sizes.decoder_heads, sizes.width // sizes.decoder_heads, sizes.tokens - 1
    ids = graph.ids("input_ids", (1, 1))
    mask = graph.input("attention_mask", (1, 1, 1, sizes.tokens))
    own = [
        (
            graph.input(f"k_cache_self_{number}_in", (heads, 1, inside, past)),
            graph.input(f"v_cache_self_{number}_in", (heads, 1, past, inside)),
        )
        for number in range(sizes.decoder_layers)
    ]
    cross = [
        (
            graph.input(f"k_cache_cross_{number}", (heads, 1, inside, sizes.positions)),
            graph.input(f"v_cache_cross_{number}", (heads, 1, sizes.positions, inside)),
        )
        for number in range(sizes.decoder_layers)
    ]
    position = graph.ids("position_ids", (1,))
    layers = [
        Layer(f"model.decoder.layers.{number}", *own[number], *cross[number]) for number in range(sizes.decoder_layers)
    ]
    return ids, mask, position, layers


def decoder(weights: dict[str, np.ndarray], sizes: Sizes, options: Options) -> Any:
    """One token a call → logits (1, vocabulary, 1, 1), and the self caches with the newest at the right."""
    graph, here = Graph(weights, options), "model.decoder"
    ids, mask, position, layers = decoder_inputs(graph, sizes)
    heads, inside = sizes.decoder_heads, sizes.width // sizes.decoder_heads
    embedding = graph.weight(f"{here}.embed_tokens.weight")
    place = graph.node("Gather", graph.weight(f"{here}.embed_positions.weight"), position, axis=0)
    x = graph.node("Add", graph.node("Gather", embedding, ids, axis=0), place)
    kept: list[tuple[str, str]] = []
    for layer in layers:
        normal = graph.norm(x, f"{layer.name}.self_attn_layer_norm")
        query, key, value = attention_inputs(graph, normal, f"{layer.name}.self_attn", (1, heads, inside))
        key = graph.node("Concat", layer.self_key, key, axis=3)
        value = graph.node("Concat", layer.self_value, value, axis=2)
        kept.append((key, value))
        mixed = graph.attended(query, key, value, (1, sizes.width), mask)
        x = graph.node("Add", x, graph.linear(mixed, f"{layer.name}.self_attn.out_proj"))
        normal = graph.norm(x, f"{layer.name}.encoder_attn_layer_norm")
        query = graph.linear(normal, f"{layer.name}.encoder_attn.q_proj")
        query = graph.by_head(graph.node("Mul", query, graph.number(inside**-0.5)), (1, heads, inside), AS_QUERY)
        mixed = graph.attended(query, layer.cross_key, layer.cross_value, (1, sizes.width))
        x = graph.node("Add", x, graph.linear(mixed, f"{layer.name}.encoder_attn.out_proj"))
        x = graph.feed_forward(x, layer.name)
    x = graph.norm(x, f"{here}.layer_norm")
    head = graph.weight("proj_out.weight") if "proj_out.weight" in weights else embedding  # the two are often one
    logits = graph.node("Gemm", graph.node("Reshape", x, graph.ints(1, sizes.width)), head, transB=1)
    graph.output(
        graph.node("Reshape", logits, graph.ints(1, sizes.vocabulary, 1, 1)), "logits", (1, sizes.vocabulary, 1, 1)
    )
    for number, (key, value) in enumerate(kept):
        graph.output(
            _without_oldest(graph, key, 3, sizes), f"k_cache_self_{number}_out", (heads, 1, inside, sizes.tokens - 1)
        )
        graph.output(
            _without_oldest(graph, value, 2, sizes), f"v_cache_self_{number}_out", (heads, 1, sizes.tokens - 1, inside)
        )
    return graph.model("decoder")


def _without_oldest(graph: Graph, cache: str, axis: int, sizes: Sizes) -> str:
    return graph.node("Slice", cache, graph.ints(1), graph.ints(sizes.tokens), graph.ints(axis))


def read_safetensors(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a .safetensors file: eight bytes of length, a JSON header, then the data."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__", None)
    found = {}
    for name, entry in header.items():
        kind = {"F32": "<f4", "F16": "<f2"}.get(entry["dtype"])
        if kind is None:
            raise SystemExit(f"{name} is {entry['dtype']}: save the checkpoint in float32 or float16.")
        start, end = (8 + length + offset for offset in entry["data_offsets"])
        found[name] = np.frombuffer(data[start:end], kind).reshape(entry["shape"])
    return found


def sizes_of(config: dict[str, Any], tokens: int) -> Sizes:
    return Sizes(
        width=config["d_model"],
        heads=config["encoder_attention_heads"],
        decoder_heads=config["decoder_attention_heads"],
        encoder_layers=config["encoder_layers"],
        decoder_layers=config["decoder_layers"],
        mels=config["num_mel_bins"],
        vocabulary=config["vocab_size"],
        positions=config["max_source_positions"],
        tokens=tokens,
    )


def declared(values: Any, options: Options, *, out: bool) -> dict[str, Any]:
    """Names, shapes, types and scales of a graph's inputs or outputs, as AI Hub's metadata.json gives them."""
    return {value.name: _declared(value, options, out=out) for value in values}


def _declared(value: Any, options: Options, *, out: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "shape": [dimension.dim_value for dimension in value.type.tensor_type.shape.dim],
        "dtype": helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name,
    }
    if options.ranges is not None and told["dtype"] != "int32":
        border = quantised(value.name, options.ranges, out=out)
        told["quantization_parameters"] = {"scale": border.scale, "zero_point": border.zero_point}
    return told


def write(folder: Path, halves: dict[str, Any], options: Options) -> None:
    """The graphs, and a metadata.json in AI Hub's form that says what they are."""
    for name, model in halves.items():
        file = folder / name / "model.onnx"
        file.parent.mkdir(parents=True, exist_ok=True)
        onnx.save_model(model, file)
    files = {
        f"{name}/model.onnx": {
            "inputs": declared(model.graph.input, options, out=False),
            "outputs": declared(model.graph.output, options, out=True),
        }
        for name, model in halves.items()
    }
    manifest = {
        "runtime": "onnx",
        "precision": "float" if options.ranges is None else "w16a16",
        "tool_versions": {"onnx": onnx.__version__},
        "model_files": files,
    }
    (folder / "metadata.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8", newline="\n")


def main() -> None:
    """Read the arguments, write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--chipset", default="cpu", help="name of the folder for the graphs")
    parser.add_argument("--compute", choices=sorted(ONNX_TYPES), default="float32", help="type inside the graphs")
    parser.add_argument("--tokens", type=int, default=200, help="places of the decoder; 200 as published")
    parser.add_argument("--quantised", action="store_true", help="whole numbers at the borders")
    parser.add_argument("--ranges", type=float, nargs=2, default=(8.0, 40.0), metavar=("CACHES", "LOGITS"),
                        help="largest values there, if quantised (default: 8 40)")  # fmt: skip
    parser.add_argument("--pause", type=float, metavar="SECONDS",
                        help="silence that the model wants between what it hears at once")  # fmt: skip
    asked = parser.parse_args()
    options = Options(asked.compute, tuple(asked.ranges) if asked.quantised else None)
    config = json.loads((asked.checkpoint / "config.json").read_text(encoding="utf-8"))
    weights = read_safetensors(asked.checkpoint / "model.safetensors")
    sizes = sizes_of(config, asked.tokens)
    halves = {
        "encoder": encoder(weights, sizes, options),
        "decoder": decoder(weights, sizes, options),
    }
    write(asked.model / asked.chipset, halves, options)
    for name in SIDECARS:
        if (asked.checkpoint / name).exists():
            shutil.copyfile(asked.checkpoint / name, asked.model / name)
    if asked.pause is not None:
        own = json.dumps({"pause": asked.pause}) + "\n"
        (asked.model / "fluid.json").write_text(own, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
