"""The numbers of ggml and llama.cpp: how tensors are packed, and what a file's quantisation is called."""

from __future__ import annotations

import re
from collections.abc import Mapping

TYPE_SIZES: Mapping[int, tuple[int, int]] = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    9: (32, 40),  # Q8_1
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    15: (256, 292),  # Q8_K
    16: (256, 66),  # IQ2_XXS
    17: (256, 74),  # IQ2_XS
    18: (256, 98),  # IQ3_XXS
    19: (256, 50),  # IQ1_S
    20: (32, 18),  # IQ4_NL
    21: (256, 110),  # IQ3_S
    22: (256, 82),  # IQ2_S
    23: (256, 136),  # IQ4_XS
    24: (1, 1),  # I8
    25: (1, 2),  # I16
    26: (1, 4),  # I32
    27: (1, 8),  # I64
    28: (1, 8),  # F64
    29: (256, 56),  # IQ1_M
    30: (1, 2),  # BF16
    34: (256, 54),  # TQ1_0
    35: (256, 66),  # TQ2_0
    39: (32, 17),  # MXFP4
    40: (64, 36),  # NVFP4
    41: (128, 18),  # Q1_0
}
"""ggml_type → (elements in a block, bytes of a block)."""

FILE_TYPES: Mapping[int, str] = {
    0: "F32",
    1: "F16",
    2: "Q4_0",
    3: "Q4_1",
    7: "Q8_0",
    8: "Q5_0",
    9: "Q5_1",
    10: "Q2_K",
    11: "Q3_K_S",
    12: "Q3_K_M",
    13: "Q3_K_L",
    14: "Q4_K_S",
    15: "Q4_K_M",
    16: "Q5_K_S",
    17: "Q5_K_M",
    18: "Q6_K",
    19: "IQ2_XXS",
    20: "IQ2_XS",
    21: "Q2_K_S",
    22: "IQ3_XS",
    23: "IQ3_XXS",
    24: "IQ1_S",
    25: "IQ4_NL",
    26: "IQ3_S",
    27: "IQ3_M",
    28: "IQ2_S",
    29: "IQ2_M",
    30: "IQ4_XS",
    31: "IQ1_M",
    32: "BF16",
    36: "TQ1_0",
    37: "TQ2_0",
    38: "MXFP4_MOE",
    39: "NVFP4",
    40: "Q1_0",
}
"""llama_ftype, as in general.file_type → the name that people know."""

_PREFERRED = (
    r"Q4_K_M", r"Q4_K_S", r"Q5_K_M", r"Q6_K", r"Q8_0", r"Q5_.*", r"Q4_.*", r"IQ4.*", r"F16", r"BF16", r"F32",
)  # fmt: skip
_SUFFIX = re.compile(
    r"(?:^|[-._])((?:UD-)?I?Q\d{1,2}_[A-Z0-9]{1,4}(?:_[A-Z]{1,4})?|BF16|F16|F32|MXFP4(?:_MOE)?|NVFP4|TQ[12]_0)$",
    re.IGNORECASE,
)


def quantization_in(stem: str) -> str | None:
    """The quantisation that a file name ends in: ``llama-1b-q4_k_m`` → ``Q4_K_M``."""
    match = _SUFFIX.search(stem)
    return match.group(1).upper() if match else None


def preference(quantization: str | None) -> int:
    """Which of several quantisations of one model the bare name means: the lowest.

    Q4_K_M, Q4_K_S, Q5_K_M, Q6_K, Q8_0, other Q5, other Q4, IQ4, F16, BF16, F32, then anything else:
    what fits most machines well comes first. ``UD-``, which marks a mixture of types, makes no difference.
    """
    name = (quantization or "").removeprefix("UD-")
    for rank, pattern in enumerate(_PREFERRED):
        if re.fullmatch(pattern, name):
            return rank
    return len(_PREFERRED)
