"""Subtitles: segments of speech as SubRip (.srt) and WebVTT (.vtt) files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fluid_server.types import Segment

SHORTEST = 0.001  # seconds: WebVTT players drop a cue that does not end after its start


def srt(segments: Iterable[Segment]) -> str:
    """A SubRip file, one numbered cue a segment; empty where nothing was said."""
    cues = [
        f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(_cues(segments), 1)
    ]
    return "\n".join(cues)


def vtt(segments: Iterable[Segment]) -> str:
    """A WebVTT file, one cue a segment; its heading alone where nothing was said."""
    cues = [f"{_clock(start, '.')} --> {_clock(end, '.')}\n{_escaped(text)}\n" for start, end, text in _cues(segments)]
    return "\n".join(["WEBVTT\n", *cues])


def _cues(segments: Iterable[Segment]) -> Iterator[tuple[float, float, str]]:
    """Start, end and text in one line: an empty line would end a cue, and an arrow would be read as its times."""
    for segment in segments:
        text = " ".join(segment.text.split()).replace("-->", "->")
        if text:
            start = max(0.0, segment.start)
            yield start, max(segment.end, start + SHORTEST), text


def _escaped(text: str) -> str:
    """In WebVTT, text holds tags and character references."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    whole, milliseconds = divmod(milliseconds, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{milliseconds:03}"
