"""Draw the program's icon for Windows again, scripts/bundle/fluid-server.ico, as src/fluid_server/web/icon.svg is.

uv run scripts/icon.py
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

ICON = Path(__file__).resolve().parent / "bundle" / "fluid-server.ico"
SIZES = (16, 24, 32, 48, 64, 256)
SIDE, CORNER, HALF_LINE = 32.0, 7.0, 1.5  # of the drawing: its side, the radius of its corners, half a line's width
GROUND, LINE = (0x0B, 0x6E, 0x99), (0xFF, 0xFF, 0xFF)
WAVES = (13.0, 21.0)
FINER = 4  # samples along each side of a pixel
STEPS = 24  # points along each half of a wave

Floats = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.uint8]


def drawing(size: int) -> Pixels:
    """The icon as RGBA of shape [size, size, 4]."""
    grid = (np.arange(size * FINER) + 0.5) * (SIDE / (size * FINER))
    x, y = np.meshgrid(grid, grid)
    ground = _coverage(_inside(x, y), size)
    line = _coverage(_near_waves(x, y), size)[..., None]
    colour = np.asarray(GROUND) * (1 - line) + np.asarray(LINE) * line
    pixels: Pixels = np.rint(np.concatenate([colour, 255 * ground[..., None]], axis=2)).astype(np.uint8)
    return pixels


def _coverage(inside: npt.NDArray[np.bool_], size: int) -> Floats:
    """How much of each pixel is covered, from 0 to 1."""
    covered: Floats = inside.reshape(size, FINER, size, FINER).mean(axis=(1, 3))
    return covered


def _inside(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """The square with round corners."""
    across = np.maximum(np.abs(x - SIDE / 2) - (SIDE / 2 - CORNER), 0)
    down = np.maximum(np.abs(y - SIDE / 2) - (SIDE / 2 - CORNER), 0)
    return np.hypot(across, down) <= CORNER


def _near_waves(x: Floats, y: Floats) -> npt.NDArray[np.bool_]:
    """Near one of the two waves, each of two quadratic curves: up first, then down."""
    near = np.zeros(x.shape, dtype=bool)
    t = np.linspace(0, 1, STEPS)
    for middle in WAVES:
        for start, bend in ((5.0, -6.0), (16.0, 6.0)):
            for along, above in zip(start + 11 * t, middle + 2 * t * (1 - t) * bend, strict=True):
                near |= np.hypot(x - along, y - above) <= HALF_LINE
    return near


def png(pixels: Pixels) -> bytes:
    """A PNG file of RGBA pixels."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def ico(pictures: Sequence[bytes], sizes: Sequence[int]) -> bytes:
    """An .ico file of PNG files, which Windows reads since Vista. A side of 256 is written as 0."""
    offset = 6 + 16 * len(pictures)
    entries = b""
    for picture, size in zip(pictures, sizes, strict=True):
        entries += struct.pack("<BBBBHHII", size % 256, size % 256, 0, 0, 1, 32, len(picture), offset)
        offset += len(picture)
    return struct.pack("<HHH", 0, 1, len(pictures)) + entries + b"".join(pictures)


def main() -> int:
    """Write the file."""
    ICON.write_bytes(ico([png(drawing(size)) for size in SIZES], SIZES))
    print(f"{ICON}: {ICON.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
