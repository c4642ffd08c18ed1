"""What does a file look like by its first bytes? For messages alone: whether it can be read is up to the decoder."""

from __future__ import annotations

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (  # place, bytes, what begins so
    (8, b"WAVE", "a wav file"),
    (8, b"AVI ", "an avi file"),
    (4, b"ftyp", "an mp4, m4a or 3gp file"),
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


def looks_like(start: bytes) -> str | None:
    """What a file that begins so seems to be, as in "a wav file"; None if nothing known."""
    return next((name for place, mark, name in SIGNATURES if start[place : place + len(mark)] == mark), None)
