"""Files that lie or are made to hurt: a clear refusal or what sound there is, in little memory and time."""

from __future__ import annotations

import io
import struct
import time

import av
import numpy as np
import psutil
import pytest
from av.audio import AudioStream
from av.packet import Packet

from fluid_server.content import sound
from fluid_server.content.signatures import lacks_index, looks_like
from fluid_server.errors import TooLarge, UnreadableAudio

from .tones import Samples, encoded, sine, wav

MEGABYTE = 1024 * 1024
WAV = wav(sine(440, 16_000, 2), 16_000)
M4A = encoded("ipod", "aac", sine(440, 44_100, 2), 44_100)
FLAC = encoded("flac", "flac", sine(440, 44_100, 2), 44_100)
MP3 = encoded("mp3", "libmp3lame", sine(440, 44_100, 2), 44_100)


def heard(data: bytes, max_seconds: float = 600) -> Samples:
    """The sound of a file that takes no more memory than a real one."""
    before, most = psutil.Process().memory_info().rss, 0
    try:
        with sound.blocks(io.BytesIO(data), max_seconds=max_seconds) as blocks:
            pieces = []
            for block in blocks:
                pieces.append(block)
                most = max(most, psutil.Process().memory_info().rss)
            return np.concatenate(pieces)
    finally:
        most = max(most, psutil.Process().memory_info().rss)
        assert most - before < 40 * MEGABYTE


def refusal(data: bytes) -> str:
    """What is said of a file that is refused."""
    with pytest.raises(UnreadableAudio) as caught:
        heard(data)
    assert caught.value.param == "file"
    return caught.value.message


def altered(data: bytes, place: int, value: bytes) -> bytes:
    """The same file with other bytes at one place."""
    return data[:place] + value + data[place + len(value) :]


def box(name: bytes, offset: int) -> int:
    """Where in the M4A a field of a box lies."""
    return M4A.index(name) + offset


LONG = struct.pack(">I", 0x7FFFFFFF)
LIES = {
    "wav: riff of 2 GB": altered(WAV, 4, struct.pack("<I", 0x7FFFFFFF)),
    "wav: 4 GB a second": altered(WAV, 28, struct.pack("<I", 0xFFFFFFFF)),
    "wav: blocks of 64 KB": altered(WAV, 32, struct.pack("<H", 0xFFFF)),
    "wav: blocks of nothing": altered(WAV, 32, struct.pack("<H", 0)),
    "m4a: years long": altered(M4A, box(b"mdhd", 20), LONG),
    "m4a: an index of 2 GB": altered(M4A, box(b"moov", -4), LONG),
    "m4a: more chunks than bytes": altered(M4A, box(b"stco", 8), LONG),
    "flac: weeks long": altered(FLAC, 21, b"\xff" * 5),
    "rf64: exabytes": b"RF64\xff\xff\xff\xffWAVEds64"
    + struct.pack("<IQQQI", 28, 2**62, 2**62, 2**61, 0)
    + altered(WAV[12:], 28, b"\xff\xff\xff\xff"),
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES.keys())
def test_a_length_that_cannot_be_true_is_not_believed(data: bytes) -> None:
    assert len(heard(data)) == pytest.approx(2 * 16_000, abs=500)
    with sound.blocks(io.BytesIO(data), max_seconds=600) as blocks:
        assert (blocks.seconds_claimed or 2) == pytest.approx(2, abs=0.1)


BROKEN = {
    "wav: a format of 2 GB": (altered(WAV, 16, struct.pack("<I", 0x7FFFFFFF)), "begins like a wav file"),
    "wav: samples of 255 bits": (altered(WAV, 34, struct.pack("<H", 255)), "unknown codec"),
    "wav: no channel": (altered(WAV, 22, struct.pack("<H", 0)), "damaged"),
    "wav: no rate": (altered(WAV, 24, struct.pack("<I", 0)), "begins like a wav file"),
    "wav: one sample a second": (altered(WAV, 24, struct.pack("<I", 1)), "1 samples a second; 1000 to 768000"),
    "wav: a sample each nanosecond": (altered(WAV, 24, struct.pack("<I", 10**9)), "1000000000 samples a second"),
    "wav: 65 channels": (wav(sine(440, 8000, 0.1), 8000, channels=65), "65 channels; 64 are possible"),
    "m4a: more sizes than bytes": (altered(M4A, box(b"stsz", 12), LONG), "begins like an mp4, m4a or 3gp file"),
    "m4a: more times than bytes": (altered(M4A, box(b"stts", 8), LONG), "begins like an mp4, m4a or 3gp file"),
    "m4a: sound of 2 GB before its index": (altered(M4A, box(b"mdat", -4), LONG), "begins like an mp4"),
    "flac: notes of 16 MB": (altered(FLAC, 5, b"\xff\xff\xff"), "begins like a flac file"),
    "mp3: tags of 256 MB": (b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + MP3, "begins like an mp3 file"),
    "a PDF": (b"%PDF-1.7\n" + bytes(1000), "begins like a PDF"),
    "a web page": (b"<!doctype html><title>no</title>" * 10, "begins like HTML"),
    "nothing": (b"", "without a single byte"),
}


@pytest.mark.parametrize(("data", "found"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_with_what_was_found(data: bytes, found: str) -> None:
    assert found in refusal(data)


def crumbs(rate: bytes) -> bytes:
    """A caf of a hundred thousand packets with one sample each."""
    description = rate + b"lpcm" + struct.pack(">IIIII", 0, 4, 0xFF0001, 1, 32)
    data = struct.pack(">4sHH4sq", b"caff", 1, 0, b"desc", 32) + description + struct.pack(">4sq", b"data", 400_004)
    return data + bytes(400_004)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (crumbs(struct.pack(">d", 44_100)), "packets of 23 millionths of a second"),
        (crumbs(struct.pack(">d", 0)), "10000 packets in a row without sound"),
    ],
)
def test_sound_in_more_pieces_than_can_be_is_given_up_soon(data: bytes, found: str) -> None:
    started = time.process_time()
    assert found in refusal(data)
    assert time.process_time() - started < 2


def silence(container: str, seconds: float) -> bytes:
    """Silence in opus, of 200 bytes a second: one packet over and over."""
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        audio = output.add_stream("libopus", rate=48_000, layout="mono", options={"frame_duration": "60"})
        assert isinstance(audio, AudioStream)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.float32), format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        pattern = audio.encode(frame)[-1]
        for index in range(round(seconds / 0.06)):
            packet = Packet(bytes(pattern))
            packet.pts = packet.dts = index * (pattern.duration or 0)
            packet.duration, packet.time_base, packet.stream = pattern.duration, pattern.time_base, audio
            output.mux(packet)
    return file.getvalue()


def test_hours_of_silence_in_a_small_file_are_refused_at_once() -> None:
    data = silence("ogg", 2 * 3600)
    assert len(data) < 2 * MEGABYTE
    with pytest.raises(TooLarge, match="3600 seconds"):
        sound.blocks(io.BytesIO(data), max_seconds=3600)


def test_and_where_the_file_does_not_say_so_after_what_is_allowed() -> None:
    data = encoded("adts", "aac", np.zeros(8_000 * 300, np.float32), 8_000)
    found: list[int] = []
    with pytest.raises(TooLarge, match="60 seconds"), sound.blocks(io.BytesIO(data), max_seconds=60) as blocks:
        found.extend(len(block) for block in blocks)
    assert sum(found) <= 60 * 16_000


def test_long_sound_takes_no_more_memory_than_short() -> None:
    file = io.BytesIO(wav(np.zeros(8_000 * 600, np.float32), 8_000, width=1))
    with sound.blocks(file, max_seconds=3600) as blocks:
        sizes = [(len(block), psutil.Process().memory_info().rss) for block in blocks]
    assert sum(length for length, _ in sizes) == pytest.approx(600 * 16_000, rel=1e-3)  # 38 MB
    assert sizes[-1][1] - sizes[10][1] < 8 * MEGABYTE


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_m4a_that_was_cut_off_is_told_so(share: float) -> None:
    assert "breaks off before the end of its index" in refusal(M4A[: round(len(M4A) * share)])


LONG = struct.pack(">I4sQ", 1, b"mdat", 16)  # a box whose length is of 64 bits
ENDLESS = struct.pack(">I4s", 0, b"mdat")


@pytest.mark.parametrize(
    ("data", "lacks"),
    [
        (M4A, False),
        (M4A[:-1], True),
        (M4A[: box(b"moov", -4)], True),
        (LONG + M4A, False),
        (LONG[:12], True),
        (ENDLESS + M4A, True),
        (b"", True),
    ],
    ids=["whole", "cut in the index", "cut before it", "a long box", "cut in a length", "an endless box", "empty"],
)
def test_an_mp4_s_index_is_looked_for_in_its_boxes(data: bytes, lacks: bool) -> None:
    assert lacks_index(io.BytesIO(data)) is lacks


@pytest.mark.parametrize(
    ("data", "name"), [(WAV, "a wav file"), (FLAC, "a flac file"), (M4A, "an mp4, m4a or 3gp file"), (b"hello", None)]
)
def test_files_are_known_by_their_first_bytes(data: bytes, name: str | None) -> None:
    assert looks_like(data[:16]) == name
