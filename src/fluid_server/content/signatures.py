"""What does a file look like by its first bytes? For messages alone: whether it can be read is up to the decoder."""

from __future__ import annotations

from os import SEEK_END
from typing import BinaryIO

MP4 = "an mp4, m4a or 3gp file"
SIGNATURES: tuple[tuple[int, bytes, str], ...] = (  # place, bytes, what begins so
    (8, b"WAVE", "a wav file"),
    (8, b"AVI ", "an avi file"),
    (4, b"ftyp", MP4),
    (0, b"\x1a\x45\xdf\xa3", "a webm or mkv file"),
    (0, b"OggS", "an ogg or opus file"),
    (0, b"fLaC", "a flac file"),
    (0, b"ID3", "an mp3 file"),
    (0, b"#!AMR", "an amr file"),
    (0, b"caff", "a caf file"),
    (0, b"FORM", "an aiff file"),
    (0, b"MThd", "a midi file, which holds no sound"),
    (0, b"%PDF", "a PDF"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x89PNG", "a PNG picture"),
    (0, b"\xff\xd8\xff", "a JPEG picture"),
    (0, b"GIF8", "a GIF picture"),
    (0, b"#EXTM3U", "a playlist"),
    (0, b"{", "JSON"),
    (0, b"<", "HTML or XML"),
)
LONGEST = 16  # bytes that are enough to tell
MOST_BOXES = 1000  # of an mp4 that are looked at: real ones have a few, those recorded in fragments two for each


def looks_like(start: bytes) -> str | None:
    """What a file that begins so seems to be, as in "a wav file"; None if nothing known."""
    return next((name for place, mark, name in SIGNATURES if start[place : place + len(mark)] == mark), None)


def lacks_index(file: BinaryIO) -> bool:
    """Whether an mp4, read from its start, breaks off before its index (``moov``) or in it. It has no sound then."""
    size, place = file.seek(0, SEEK_END), 0
    for _ in range(MOST_BOXES):
        file.seek(place)
        head = file.read(16)
        length, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if length == 1:  # the true length follows
            length = int.from_bytes(head[8:16], "big")
        if kind == b"moov":
            return place + length > size
        if length < 8 or place + length >= size:  # of 0: it goes on to the end of the file
            return True
        place += length
    return False
