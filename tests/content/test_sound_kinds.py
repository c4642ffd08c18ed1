"""What phones, browsers and recorders write: each kind is heard, in blocks, at whatever rate and with all channels."""

from __future__ import annotations

import io
import re
from typing import Any

import av
import numpy as np
import pytest
from av.audio import AudioStream

from fluid_server.content import sound
from fluid_server.content.sound import SAMPLE_RATE
from fluid_server.errors import TooLarge
from tests.decoded import decode

from .tones import Samples, encoded, sine, wav

FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "500000"}
KINDS: dict[str, dict[str, Any]] = {
    "wav, 8 bit": {"container": "wav", "codec": "pcm_u8", "rate": 8_000},
    "wav, float": {"container": "wav", "codec": "pcm_f32le", "rate": 22_050, "channels": 2},
    "wav, double": {"container": "wav", "codec": "pcm_f64le", "rate": 44_100},
    "wav, A-law": {"container": "wav", "codec": "pcm_alaw", "rate": 8_000},
    "wav, mu-law": {"container": "wav", "codec": "pcm_mulaw", "rate": 8_000, "channels": 2},
    "wav, streamed": {"container": "wav", "codec": "pcm_s16le", "rate": 16_000, "streamed": True},
    "mp3, 8 kHz": {"container": "mp3", "codec": "libmp3lame", "rate": 8_000},
    "m4a": {"container": "ipod", "codec": "aac", "rate": 44_100, "channels": 2},
    "adts": {"container": "adts", "codec": "aac", "rate": 22_050, "channels": 2},
    "flac, streamed": {"container": "flac", "codec": "flac", "rate": 44_100, "streamed": True},
    "vorbis": {"container": "ogg", "codec": "vorbis", "rate": 44_100, "channels": 2},
    "opus": {"container": "ogg", "codec": "libopus", "rate": 48_000, "channels": 2, "streamed": True},
    "webm, recorded": {"container": "webm", "codec": "libopus", "rate": 48_000, "streamed": True},
    "webm, vorbis": {"container": "webm", "codec": "vorbis", "rate": 48_000, "channels": 2},
    "mp4, fragmented": {
        "container": "mp4",
        "codec": "aac",
        "rate": 44_100,
        "channels": 2,
        "streamed": True,
        "options": FRAGMENTED,
    },
    "mp4, fragmented opus": {"container": "mp4", "codec": "libopus", "rate": 48_000, "options": FRAGMENTED},
    "mov": {"container": "mov", "codec": "aac", "rate": 48_000},
    "m4a, lossless": {"container": "ipod", "codec": "alac", "rate": 44_100, "channels": 2},
    "3gp, aac": {"container": "3gp", "codec": "aac", "rate": 44_100},
    "caf": {"container": "caf", "codec": "pcm_s16be", "rate": 44_100, "channels": 2},
    "caf, ima4": {"container": "caf", "codec": "adpcm_ima_qt", "rate": 44_100},
    "mkv, streamed": {"container": "matroska", "codec": "pcm_s16le", "rate": 44_100, "streamed": True},
    "mpeg": {"container": "mpegts", "codec": "aac", "rate": 48_000},
    "avi": {"container": "avi", "codec": "mp2", "rate": 44_100},
}


def heard(data: bytes) -> tuple[Samples, float | None]:
    """The sound of a file, and how long the file said that it is."""
    with sound.blocks(io.BytesIO(data), max_seconds=60) as blocks:
        return np.concatenate(list(blocks)), blocks.seconds_claimed


def level(samples: Samples) -> float:
    """Root mean square, without half a second on each side."""
    return float(np.sqrt(np.mean(samples[SAMPLE_RATE // 2 : -SAMPLE_RATE // 2] ** 2)))


def pitch(samples: Samples) -> float:
    """The loudest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_every_kind_of_file_is_heard_as_long_and_loud_as_it_is(kind: dict[str, Any]) -> None:
    data = encoded(samples=sine(440, kind["rate"], 2.5), **kind)
    samples, claimed = heard(data)
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.5, abs=0.07)
    assert claimed is None or claimed == pytest.approx(2.5, abs=0.08)
    assert pitch(samples) == pytest.approx(440, abs=1)
    assert level(samples) == pytest.approx(0.5 / 2**0.5, rel=0.06)


@pytest.mark.skipif("libopencore_amrnb" not in av.codecs_available, reason="this FFmpeg writes no AMR")
@pytest.mark.parametrize("container", ["amr", "3gp"])
def test_what_old_phones_record_is_heard(container: str) -> None:
    samples, claimed = heard(encoded(container, "libopencore_amrnb", sine(440, 8_000, 2.5), 8_000))
    assert len(samples) / SAMPLE_RATE == pytest.approx(2.5, abs=0.03) == claimed
    assert pitch(samples) == pytest.approx(440, abs=1)


def test_wideband_amr_is_heard() -> None:
    frame = bytes([0x44]) + np.random.default_rng(0).bytes(60)  # 20 ms at 23.85 kbit/s; any bits are some sound
    samples, _ = heard(b"#!AMR-WB\n" + frame * 50)
    assert len(samples) == pytest.approx(SAMPLE_RATE, abs=SAMPLE_RATE // 50)
    assert samples.any()


def test_a_browsers_recording_has_no_length_and_clusters_of_unknown_size() -> None:
    data = encoded("webm", "libopus", sine(440, 48_000, 7), 48_000, streamed=True)
    data, clusters = re.subn(rb"\x1f\x43\xb6\x75(?:\x01.{7}|[\x10-\x1f].{3}|[\x40-\x7f].)", CLUSTER, data, flags=re.S)
    assert clusters > 1
    samples, claimed = heard(data)
    assert claimed is None
    assert len(samples) == pytest.approx(7 * SAMPLE_RATE, abs=100)


CLUSTER = b"\x1f\x43\xb6\x75\x01\xff\xff\xff\xff\xff\xff\xff"


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF], ids=hex)
def test_a_wav_that_claims_any_other_size_is_as_long_as_it_is(size: int) -> None:
    data = bytearray(wav(sine(440, 16_000, 2), 16_000))
    data[4:8] = data[40:44] = size.to_bytes(4, "little")
    samples, claimed = heard(bytes(data))
    assert len(samples) == 2 * SAMPLE_RATE
    assert claimed in (None, 2.0)


@pytest.mark.parametrize("channels", [3, 8, 9, 24, 63, 64])
def test_all_channels_are_mixed(channels: int) -> None:
    samples, _ = heard(wav(sine(440, 16_000, 2), 16_000, channels=channels))
    assert len(samples) == 2 * SAMPLE_RATE
    assert level(samples) == pytest.approx(0.5 / 2**0.5, rel=0.001)


def test_many_channels_that_lie_apart_are_mixed() -> None:
    """Opus decodes to planes, of which PyAV alone would read beyond the eighth."""
    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as output:
        audio = output.add_stream("libopus", rate=48_000, layout="20 channels", options={"mapping_family": "255"})
        assert isinstance(audio, AudioStream)
        tones = np.repeat(sine(440, 48_000, 2)[:, np.newaxis], 20, axis=1)
        frame = av.AudioFrame.from_ndarray(tones.reshape(1, -1), format="flt", layout="20 channels")
        frame.sample_rate, frame.pts = 48_000, 0
        output.mux(audio.encode(frame))
        output.mux(audio.encode(None))
    samples, _ = heard(file.getvalue())
    assert level(samples) == pytest.approx(0.5 / 2**0.5, rel=0.02)


@pytest.mark.parametrize("rate", [1_000, 5_512, 16_001, 384_000, 768_000])
def test_rates_that_nobody_would_choose_are_heard(rate: int) -> None:
    samples, _ = heard(wav(sine(200, rate, 2), rate))
    assert len(samples) == pytest.approx(2 * SAMPLE_RATE, abs=20)
    assert pitch(samples) == pytest.approx(200, abs=1)
    assert level(samples) == pytest.approx(0.5 / 2**0.5, rel=0.01)


@pytest.mark.parametrize("rate", [44_100, 48_000, 96_000])
@pytest.mark.parametrize(("tone", "decibels"), [(8_050, -50), (8_200, -85), (9_000, -85), (15_000, -85)])
def test_tones_above_the_new_range_do_not_fold_down(rate: int, tone: int, decibels: float) -> None:
    samples, _ = heard(wav(sine(tone, rate, 2), rate, width=4))
    assert 20 * np.log10(level(samples) / (0.5 / 2**0.5)) < decibels


@pytest.mark.parametrize("tone", [100, 4_000, 7_400])
def test_tones_within_it_stay_as_they_are(tone: int) -> None:
    samples, _ = heard(wav(sine(tone, 44_100, 2), 44_100))
    assert level(samples) == pytest.approx(0.5 / 2**0.5, rel=0.005)


def test_blocks_are_the_sound_in_pieces_of_about_a_second() -> None:
    data = wav(sine(440, 22_050, 9.5), 22_050)
    with sound.blocks(io.BytesIO(data), max_seconds=60) as blocks:
        pieces = list(blocks)
    assert all(SAMPLE_RATE <= len(piece) < 2 * SAMPLE_RATE for piece in pieces[:-1])
    assert len(pieces) >= 5
    assert np.array_equal(np.concatenate(pieces), decode(io.BytesIO(data), max_seconds=60).samples)


def test_blocks_that_are_not_read_to_the_end_let_go_of_their_file(tmp_path: Any) -> None:
    path = tmp_path / "speech"
    path.write_bytes(wav(sine(440, 8_000, 5), 8_000))
    with sound.blocks(path, max_seconds=60) as blocks:
        next(blocks)
    path.unlink()  # Windows would refuse this
    assert list(blocks) == []


def test_a_file_that_says_it_is_too_long_is_refused_before_it_is_decoded() -> None:
    data = encoded("flac", "flac", sine(440, 16_000, 5), 16_000)
    with pytest.raises(TooLarge, match="longer than the 4 seconds"):
        sound.blocks(io.BytesIO(data), max_seconds=4)


def test_the_end_is_silent_when_nobody_waits_any_more() -> None:
    data = wav(sine(440, 8_000, 5), 8_000)
    assert list(sound.blocks(io.BytesIO(data), max_seconds=60, stopped=lambda: True)) == []
