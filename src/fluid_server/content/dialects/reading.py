"""What the readers of all dialects share: telling what was heard, and the way through text, thoughts and calls."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

from fluid_server.content.dialects.base import Argued, Called, Heard, Reader, Said, Thought
from fluid_server.content.dialects.incoming import Incoming, Marks, Steps
from fluid_server.types import ToolUse


class StepReader(Reader):
    """A reader whose work is one generator, ``read``, which runs as far as the text has come."""

    def __init__(self, use: ToolUse | None) -> None:
        self.use = use
        self.tools = {tool.name: tool for tool in use.tools} if use is not None else {}
        self.incoming = Incoming()
        self._heard: list[Heard] = []
        self._index = -1
        self._ended = 0
        self._steps = self.read()

    @abstractmethod
    def read(self) -> Steps[None]:
        """Read the whole answer."""

    def feed(self, text: str) -> list[Heard]:
        """What this further text makes clear."""
        self.incoming.text += text
        return self._run() if text else []

    def plain(self, text: str) -> str | None:
        """Where text for the user is all that is going on, and no mark begins."""
        return self.incoming.plain(text, self.say)

    def flush(self) -> list[Heard]:
        """What is left, read as all there is."""
        self.incoming.ended = True
        return self._run()

    @property
    def held(self) -> int:
        """What has been looked at only."""
        return len(self.incoming.text)

    @property
    def calls_ended(self) -> int:
        """Calls whose arguments are complete, or cannot go on."""
        return self._ended

    def _run(self) -> list[Heard]:
        next(self._steps, None)
        heard, self._heard = self._heard, []
        return heard

    # --- what readers tell -------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        """Text for the user."""
        self._tell(Said(text))

    def think(self, text: str) -> None:
        """Reasoning."""
        self._tell(Thought(text))

    def call(self, name: str) -> None:
        """A call begins; what has been read so far is decided upon."""
        self.incoming.take()
        self._index += 1
        self._heard.append(Called(self._index, name))

    def argue(self, text: str) -> None:
        """More of the arguments of the call."""
        self._tell(Argued(self._index, text))

    def end_call(self) -> None:
        """The call is complete; what has been read so far is decided upon."""
        self.incoming.take()
        self._ended = self._index + 1

    def is_cut(self) -> bool:
        """Whether the text ended in the middle of a call: then what was looked at is dropped, else looked at again."""
        cut = self.incoming.ended and self.incoming.at >= len(self.incoming.text)
        if cut:
            self.incoming.take()
        self.incoming.back()
        return cut

    def _tell(self, one: Said | Thought | Argued) -> None:
        if not one.text:
            return
        if self._heard and isinstance(last := self._heard[-1], type(one)):
            self._heard[-1] = replace(last, text=last.text + one.text)
        else:
            self._heard.append(one)


class MarkedReader(StepReader):
    """Text in which reasoning stands between two marks, and calls begin with a mark.

    Marks of reasoning count at the beginning of a line only: elsewhere a model writes about them. So do all of
    ``line_marks``. White space around marks belongs to them.
    """

    def __init__(
        self, use: ToolUse | None, reasoning: tuple[str, str], calls: tuple[str, ...], *, thinking: bool
    ) -> None:
        super().__init__(use)
        self._opening, self._closing = reasoning
        self._calls = calls if use is not None else ()
        self._thinking = thinking and bool(self._opening)
        self._midline = False
        self._has_thought = self._thinking
        self.line_marks = {self._opening, self._closing}
        self.wraps: frozenset[str] = frozenset()  # marks around the answer of a model that has thought

    def plain(self, text: str) -> str | None:
        """Where text for the user is all that is going on, and no mark begins."""
        said = self.incoming.plain(text, self._say)
        if said:
            self._midline = not said.endswith("\n")
        return said

    @abstractmethod
    def read_call(self, mark: str) -> Steps[bool]:
        """Read what follows a mark of ``calls``. False where it is no call, and nothing was taken."""

    def read(self) -> Steps[None]:
        """Thoughts, text and calls until the text ends."""
        reasoning = tuple(mark for mark in (self._opening, self._closing) if mark)
        marks = Marks(*reasoning, *self._calls, *self.wraps, space="any")
        if self._thinking:
            yield from self.read_thought()
        while mark := (yield from self.incoming.until(marks, self._say)):
            if mark in self.line_marks and self._midline and "\n" not in self.incoming.text[: self.incoming.at]:
                self._say(self.incoming.take())
            elif mark in self._calls:
                yield from self._read_call(mark)
            elif mark in self.wraps and not self._has_thought:
                self._say(self.incoming.take())
            elif mark == self._opening:
                yield from self.read_thought()
            else:
                yield from self.read_space()

    def read_thought(self) -> Steps[None]:
        """Reasoning up to its closing mark; a second opening at its beginning is none."""
        yield from self.incoming.space()
        if self._thinking and (yield from self.incoming.accept(self._opening)):
            yield from self.incoming.space()
        self._thinking = False
        self._has_thought = True
        self.incoming.take()
        yield from self.incoming.until(Marks(self._closing, space="any"), self.think)
        yield from self.read_space()

    def read_space(self) -> Steps[None]:
        """White space behind a mark, which belongs to it."""
        yield from self.incoming.space()
        self.incoming.take()
        self._midline = False

    def _read_call(self, mark: str) -> Steps[None]:
        end = self.incoming.at
        if (yield from self.read_call(mark)):
            yield from self.read_space()
        else:
            self.incoming.at = end
            self._say(self.incoming.take())

    def _say(self, text: str) -> None:
        self._midline = not text.endswith("\n")
        self.say(text)
