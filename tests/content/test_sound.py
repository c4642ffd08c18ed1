"""Sound files: what is heard is what was written, and hostile or broken ones are refused."""

from __future__ import annotations

import io
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from fluid_server.content.sound import SAMPLE_RATE
from fluid_server.errors import TooLarge, UnreadableAudio
from tests.decoded import Sound, decode

from .tones import Samples, encoded, silent_picture, sine, wav

KINDS = [
    ("mp3", "libmp3lame", 44_100),
    ("mp3", "libmp3lame", 22_050),
    ("flac", "flac", 48_000),
    ("ogg", "libopus", 48_000),
    ("ogg", "flac", 44_100),
    ("ipod", "aac", 44_100),
    ("adts", "aac", 48_000),
    ("webm", "libopus", 48_000),
    ("matroska", "flac", 96_000),
    ("aiff", "pcm_s16be", 32_000),
]


def heard(data: bytes, max_seconds: float = 60) -> Sound:
    """The file, decoded."""
    return decode(io.BytesIO(data), max_seconds=max_seconds)


def refusal(data: bytes) -> UnreadableAudio:
    """The error that decoding ends in."""
    with pytest.raises(UnreadableAudio) as caught:
        heard(data)
    return caught.value


def pitch(samples: Samples) -> float:
    """The loudest frequency in hertz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * SAMPLE_RATE / len(samples))


def level(samples: Samples) -> float:
    """Root mean square of the middle half."""
    quarter = len(samples) // 4
    return float(np.sqrt(np.mean(samples[quarter:-quarter] ** 2)))


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000])
def test_wav_is_heard_as_written(rate: int, width: int, channels: int) -> None:
    got = heard(wav(sine(440, rate, 1), rate, channels=channels, width=width))
    wanted = sine(440, SAMPLE_RATE, 1)
    assert got.samples.dtype == np.float32
    assert got.seconds == len(got.samples) / SAMPLE_RATE == pytest.approx(1, abs=1.1 / SAMPLE_RATE)
    edge = 200  # the resampler's filter swings in and out
    rounding = 0.015 if width == 1 else 0.001
    n = min(len(got.samples), len(wanted)) - edge
    assert np.abs(got.samples[edge:n] - wanted[edge:n]).max() < rounding


@pytest.mark.parametrize(("container", "codec", "rate"), KINDS)
def test_encoded_sound_keeps_length_pitch_and_level(container: str, codec: str, rate: int) -> None:
    got = heard(encoded(container, codec, sine(1000, rate, 2), rate))
    assert got.seconds == pytest.approx(2, abs=0.06)
    assert pitch(got.samples) == pytest.approx(1000, abs=1)
    assert level(got.samples) == pytest.approx(0.5 / 2**0.5, rel=0.06)  # LAME turns down by 5 %


@pytest.mark.parametrize("channels", [2, 6])
def test_mixing_loud_channels_does_not_clip(channels: int) -> None:
    got = heard(wav(sine(440, SAMPLE_RATE, 1, level=1.0), SAMPLE_RATE, channels=channels))
    assert np.abs(got.samples).max() <= 1
    assert level(got.samples) == pytest.approx(1 / 2**0.5, rel=0.01)  # a clipped sine is louder


def test_samples_stay_in_range_whatever_a_float_file_holds() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 7.0, -7.0, 0.25] * 100, np.float32)
    got = heard(encoded("wav", "pcm_f32le", values, SAMPLE_RATE))
    assert got.samples[:6].tolist() == [0, 1, -1, 1, -1, 0.25]


def test_the_sound_of_a_video_is_taken() -> None:
    got = heard(encoded("mp4", "aac", sine(600, 48_000, 1), 48_000, picture=True))
    assert pitch(got.samples) == pytest.approx(600, abs=2)


def test_a_stream_may_change_its_rate_midway() -> None:
    parts = [encoded("mp3", "libmp3lame", sine(700, rate, 2), rate) for rate in (48_000, 24_000)]
    got = heard(b"".join(parts))
    assert got.seconds == pytest.approx(4, abs=0.2)
    assert pitch(got.samples[: 2 * SAMPLE_RATE]) == pytest.approx(700, abs=1)
    assert pitch(got.samples[-SAMPLE_RATE:]) == pytest.approx(700, abs=1)


def test_a_path_is_opened_and_a_file_is_left_open(tmp_path: Path) -> None:
    path = tmp_path / "speech.bin"
    path.write_bytes(wav(sine(440, 8000, 0.5), 8000))
    with path.open("rb") as file:
        from_file = decode(file, max_seconds=1)
        assert not file.closed
    assert np.array_equal(decode(path, max_seconds=1).samples, from_file.samples)


def test_as_long_as_allowed_passes_and_longer_does_not() -> None:
    assert heard(wav(sine(440, 8000, 2), 8000), max_seconds=2).seconds == pytest.approx(2, abs=0.003)
    with pytest.raises(TooLarge) as caught:
        heard(wav(sine(440, 8000, 2.1), 8000), max_seconds=2)
    assert (caught.value.param, caught.value.code) == ("file", "audio_too_long")


def test_decoding_stops_at_the_limit() -> None:
    file = io.BytesIO(wav(sine(440, 48_000, 60), 48_000))
    with pytest.raises(TooLarge):
        decode(file, max_seconds=1)
    assert file.tell() < len(file.getvalue()) / 4


NO_SOUND = {
    "empty file": b"",
    "text": b"hello, world\n" * 200,
    "zeros": bytes(10_000),
    "noise": np.random.default_rng(0).bytes(50_000),
    "half a header": wav(sine(440, 8000, 1), 8000)[:20],
    "header alone": wav(sine(440, 8000, 1), 8000)[:44],
    "m4a without its index": encoded("ipod", "aac", sine(440, 48_000, 2), 48_000)[:8000],
    "unknown codec": wav(sine(440, 8000, 1), 8000).replace(b"\x01\x00\x01\x00", b"\x99\x99\x01\x00", 1),
    "video without sound": silent_picture(),
    "70 channels": wav(sine(440, 8000, 0.1), 8000, channels=70),
}


@pytest.mark.parametrize("data", NO_SOUND.values(), ids=NO_SOUND.keys())
def test_what_is_no_sound_is_refused_and_nothing_is_printed(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    failure = refusal(data)
    assert failure.param == "file"
    assert "Send wav, mp3" in failure.message
    assert capfd.readouterr() == ("", "")


def test_the_refusal_names_what_was_found() -> None:
    assert "container mov,mp4" in refusal(NO_SOUND["video without sound"]).message
    assert "container wav, codec pcm_s16le" in refusal(NO_SOUND["header alone"]).message


@pytest.mark.parametrize(("container", "codec"), [("ipod", "aac"), ("mp3", "libmp3lame"), ("adts", "aac")])
def test_a_file_broken_in_the_middle_is_refused(container: str, codec: str) -> None:
    data = bytearray(encoded(container, codec, sine(440, 48_000, 3), 48_000))
    middle = len(data) // 2
    data[middle : middle + 2000] = np.random.default_rng(1).bytes(2000)
    assert f"codec {codec.removeprefix('lib').removesuffix('lame')}" in refusal(bytes(data)).message


def test_a_file_damaged_throughout_is_refused() -> None:
    data = bytearray(encoded("ipod", "aac", sine(440, 48_000, 1), 48_000))
    start, end = data.index(b"mdat") + 4, data.index(b"moov") - 4
    data[start:end] = bytes(end - start)
    assert "damaged" in refusal(bytes(data)).message


@pytest.mark.parametrize(
    ("container", "codec"), [("mp3", "libmp3lame"), ("flac", "flac"), ("adts", "aac"), ("wav", "pcm_s16le")]
)
def test_a_file_cut_off_at_its_end_is_heard_up_to_there(container: str, codec: str) -> None:
    data = encoded(container, codec, sine(440, 48_000, 3), 48_000)
    assert heard(data[: len(data) * 6 // 10 + 1]).seconds == pytest.approx(1.7, abs=0.2)


@pytest.mark.parametrize("junk", [b"\xff", b"\x00"])
def test_junk_before_the_sound_is_passed_over(junk: bytes) -> None:
    data = bytearray(encoded("adts", "aac", sine(440, 48_000, 3), 48_000))
    first = data.index(data[:3], 3)  # where the second packet begins
    data[7:first] = junk * (first - 7)
    assert heard(bytes(data)).seconds == pytest.approx(3, abs=0.1)


class Unnamed(io.BytesIO):
    """An upload whose name must not be looked at."""

    def __getattribute__(self, attribute: str) -> Any:
        assert attribute != "name"
        return super().__getattribute__(attribute)


def test_a_files_name_is_never_looked_at() -> None:
    assert decode(Unnamed(wav(sine(440, 8000, 1), 8000)), max_seconds=2).samples.any()


@pytest.fixture
def playlists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with a wav and files that refer to it."""
    (tmp_path / "a.wav").write_bytes(wav(sine(440, 8000, 1), 8000))
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile 'a.wav'\n")
    encoded_ts = encoded("mpegts", "aac", sine(440, 48_000, 1), 48_000)
    (tmp_path / "a.ts").write_bytes(encoded_ts)
    (tmp_path / "list.m3u8").write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:1.0,\na.ts\n#EXT-X-ENDLIST\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["list.ffconcat", "list.m3u8"])
def test_a_playlist_opens_no_other_file(playlists: Path, name: str) -> None:
    path = playlists / name
    with av.open(str(path)) as container:  # FFmpeg left to itself follows it
        assert next(container.decode(audio=0)).samples
    with path.open("rb") as named, pytest.raises(UnreadableAudio):
        decode(named, max_seconds=10)
    with pytest.raises(UnreadableAudio):
        decode(path, max_seconds=10)


def test_a_file_with_tags_that_are_not_utf_8_is_heard() -> None:
    data = bytearray(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0")
    title = "Überfällig".encode("cp1252")
    data += b"LIST" + (12 + len(title)).to_bytes(4, "little") + b"INFOINAM" + len(title).to_bytes(4, "little") + title
    data += b"data" + (3200).to_bytes(4, "little") + bytes(3200)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    assert decode(io.BytesIO(bytes(data)), max_seconds=10).seconds == pytest.approx(0.1)


def test_decoding_ends_when_nobody_waits_any_more() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(bytes(2 * 16000 * 60))
    asked = iter([False, False, True])
    buffer.seek(0)
    assert decode(buffer, max_seconds=100, stopped=lambda: next(asked)).seconds < 1
