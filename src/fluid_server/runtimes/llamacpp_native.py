"""NativeDriver: continuous batching over llama.cpp's C interface, compiled for this machine (llama-cpp-python).

One ``advance`` is one llama_decode: a token for each sequence that generates, and a share of the prompts that are
being read, the shortest first. Nothing runs in a thread; a released sequence frees its place at once. Only ``abandon``
may come from another thread, while a step is being computed.
"""

from __future__ import annotations

from collections.abc import Iterable

from fluid_server.errors import ContextTooLong, EngineFailed, FluidError
from fluid_server.runtimes.llamacpp_native_batch import Batch
from fluid_server.runtimes.llamacpp_native_brake import Brake
from fluid_server.runtimes.llamacpp_native_cells import Pool, longest
from fluid_server.runtimes.llamacpp_native_context import ContextMemory, Sizes, load_model, make_context
from fluid_server.runtimes.llamacpp_native_grammar import Grammars
from fluid_server.runtimes.llamacpp_native_library import the_library
from fluid_server.runtimes.llamacpp_native_line import Line
from fluid_server.runtimes.llamacpp_native_sampler import Sampler
from fluid_server.runtimes.llamacpp_native_shelf import Shelf
from fluid_server.runtimes.llamacpp_native_vocabulary import NativeVocabulary
from fluid_server.runtimes.llamacpp_room import room_for_a_shelf
from fluid_server.runtimes.text_plan import Piece, Plan, kv_tokens
from fluid_server.types import ModelSpec, RuntimeOptions

CPU_BATCH, GPU_BATCH = 512, 2048  # rows of one step
IDLE_SHARE = 4  # idle sequences that cannot leave keep at most this part of all cells: one in four
BESIDE = 128  # rows of prompts in one step while something generates: on a CPU it stands still for that long
WORTH_A_WAIT = 32  # tokens of another's prompt: to wait until they are computed is quicker than to compute them too
MOST_SEQUENCES = 256  # llama.cpp's own limit
LONG = 32  # rows of one prompt in a step that are worth to be stopped when nobody waits for them any more
DONE, FULL, STOPPED = 0, 1, 2  # what llama_decode says


class NativeDriver:
    """One model in one context, with a unified KV cache for all its sequences."""

    steady = True

    def __init__(self, spec: ModelSpec, options: RuntimeOptions) -> None:
        self._library = the_library()
        self._model = load_model(self._library, spec, options)
        self.engine = f"llama.cpp (llama-cpp-python {self._library.version})"
        self.parallel = options.parallel
        self.context_length, cells, note = kv_tokens(options, spec, spec.kv_bytes_per_token)
        self.notes = (note,) if note else ()
        c = self._library.c
        divisible = not (c.llama_model_is_recurrent(self._model) or c.llama_model_is_hybrid(self._model))
        on_cpu = options.device == "CPU"
        self.reserve_bytes = 0
        # of a window that slides llama.cpp saves only what lies in it, which cannot be cut short
        if on_cpu and divisible and not c.llama_model_n_swa(self._model):
            cells, self.reserve_bytes = room_for_a_shelf(options, spec.kv_bytes_per_token, self.context_length, cells)
        shelf = Shelf(self.reserve_bytes, spec.kv_bytes_per_token or 0) if self.reserve_bytes else None
        # twice as many sequences as run at once: what has ended stays for its next turn
        count = min(MOST_SEQUENCES - 1, 2 * options.parallel if divisible else options.parallel)
        self._batch = Batch(c, CPU_BATCH if on_cpu else GPU_BATCH)
        self._brake = Brake(c)
        sizes = Sizes(cells, count + (shelf is not None), self._batch.size)
        self._context = make_context(self._library, self._model, spec, options, sizes)
        c.llama_set_abort_callback(self._context, self._brake.callback, self._brake.data)
        memory = ContextMemory(self._library, self._context, spare=count)
        idle_room = cells // IDLE_SHARE if on_cpu else None
        self._pool = Pool(memory, count, divisible=divisible, idle_room=idle_room, shelf=shelf)
        self._divisible = divisible
        self._beside = BESIDE if on_cpu else self._batch.size
        self._vocabulary = NativeVocabulary(self._library, self._model)
        self._grammars = Grammars(self._library, self._vocabulary)
        self._lines: dict[int, Line] = {}
        self._reading: frozenset[int] = frozenset()  # the sequences of which a step computes many tokens

    def encode(self, text: str, *, special: bool) -> list[int]:
        """Text to token ids."""
        return self._vocabulary.tokenize(text, special=special)

    def decode(self, ids: list[int]) -> str:
        """Token ids to text."""
        return self._vocabulary.detokenize(ids)

    def start(self, sequence: int, prompt: list[int], plan: Plan) -> None:
        """Give the sequence a place; its prompt is read in the next steps."""
        self._vocabulary.check(prompt, "prompt")
        self._vocabulary.check(plan.logit_bias, "logit_bias")
        matcher = self._grammars.matcher(plan.shape) if plan.shape is not None else None
        sampler = Sampler(self._library, plan, prompt, self._vocabulary)
        cells = self._pool.take(prompt)
        line = Line(sequence, prompt, plan, cells, sampler, matcher, self._vocabulary)
        line.cached = len(cells.tokens)
        line.todo = prompt[line.cached :]
        if self._divisible:
            self._find_lender(line)
        self._lines[sequence] = line

    def advance(self) -> list[Piece]:
        """One step for all sequences that can go on."""
        self._lend()
        rows = self._rows()
        if not rows:
            return []
        self._pool.leave(len(self._batch))
        said = self._compute(rows)
        if said == FULL:
            return self._make_room(rows)
        if said == STOPPED:
            self._undo(rows)
            return []
        if said != DONE:
            raise EngineFailed(f"llama.cpp could not compute a step (llama_decode said {said}).")
        return [piece for line, count, row in rows if (piece := self._take(line, count, row)) is not None]

    def abandon(self, sequence: int) -> None:
        """From another thread: the sequence will be released, so a step that reads much of its prompt may end."""
        if sequence in self._reading:
            self._brake.pull()

    def release(self, sequence: int) -> None:
        """Free the place; what was computed there stays until it is needed."""
        line = self._lines.pop(sequence, None)
        if line is None:
            return
        line.sampler.close()
        self._pool.release(line.cells)
        for other in self._lines.values():
            other.paused = False
            if other.lender is line:
                self._borrow(other)

    @property
    def leaving(self) -> int:
        """None: a released sequence is gone."""
        return 0

    def close(self) -> None:
        """Free everything."""
        for sequence in list(self._lines):
            self.release(sequence)
        self._library.c.llama_free(self._context)
        self._library.c.llama_model_free(self._model)

    # --- what a step is made of --------------------------------------------------------------------------

    def _compute(self, rows: Iterable[tuple[Line, int, int]]) -> int:
        self._brake.release()
        self._reading = frozenset(line.sequence for line, count, _ in rows if count >= LONG)
        said = int(self._library.decode(self._context, self._batch.struct))
        self._reading = frozenset()
        return said

    def _undo(self, rows: Iterable[tuple[Line, int, int]]) -> None:
        """Forget what a stopped step has computed, of some sequences and not of others."""
        for line, _, _ in rows:
            if not self._pool.keep(line.cells):
                line.todo = line.cells.tokens + line.todo
                self._pool.empty(line.cells)

    def _rows(self) -> list[tuple[Line, int, int]]:
        """The lines of this step, how many tokens of each, and the row with its logits (-1 where there is none)."""
        self._batch.clear()
        ready = [line for line in self._lines.values() if line.lender is None and not line.paused]
        rows = [self._row(line, 1) for line in ready if line.decoding]
        left = self._beside if rows else self._batch.left
        for line in sorted((line for line in ready if not line.decoding), key=lambda line: len(line.todo)):
            count = min(len(line.todo), left, self._batch.left)
            if count:
                rows.append(self._row(line, count))
                left -= count
        return rows

    def _row(self, line: Line, count: int) -> tuple[Line, int, int]:
        last = count == len(line.todo)
        cells = line.cells
        row = self._batch.add(cells.number, len(cells.tokens), line.todo[:count], logits=last)
        return line, count, row if last else -1

    def _take(self, line: Line, count: int, row: int) -> Piece | None:
        line.computed(count)
        if row < 0:
            return None
        logits = None
        if line.plan.logprobs is not None:
            logits = self._library.logits(self._context, row, self._vocabulary.size).copy()
        try:
            token = line.sampler.draw(self._context, row, line.matcher)
        except FluidError as error:
            return Piece(line.sequence, error=error)
        return line.say(token, logits)

    # --- what is shared ----------------------------------------------------------------------------------

    def _find_lender(self, line: Line) -> None:
        """Wait for another line that is about to compute more of this prompt's beginning."""
        number, shared = longest(((other.sequence, other.prompt) for other in self._lines.values()), line.prompt)
        if number is not None and shared - line.cached >= WORTH_A_WAIT:
            line.lender, line.loan = self._lines[number], shared

    def _lend(self) -> None:
        for line in self._lines.values():
            if line.lender is not None and len(line.lender.cells.tokens) >= line.loan:
                self._borrow(line)

    def _borrow(self, line: Line) -> None:
        """Take what the lender has come to, all of the loan or less where it ends early."""
        lender, line.lender = line.lender, None
        assert lender is not None
        length = min(line.loan, len(lender.cells.tokens))
        if length > len(line.cells.tokens) and lender.cells.tokens[:length] == line.prompt[:length]:
            self._pool.borrow(line.cells, lender.cells, length)
            if lender.prompt is not line.prompt:  # what another choice of the same request has computed is not free
                line.cached = length
            line.todo = line.prompt[length:]

    # --- when the cache is full --------------------------------------------------------------------------

    def _make_room(self, rows: Iterable[tuple[Line, int, int]]) -> list[Piece]:
        """Free what idles; else the line that came last starts over when another has ended."""
        if self._pool.evict():
            return []
        running = sorted((line for line, _, _ in rows), key=lambda line: line.sequence)
        resting = [line for line in self._lines.values() if line.cells.tokens and line not in running]
        if len(running) == 1 and not resting:
            message = "The KV cache is full: the prompt and the answer take all of it. Shorten them."
            return [Piece(running[0].sequence, error=ContextTooLong(message, param="messages"))]
        victim = running[-1] if len(running) > 1 else max(resting, key=lambda line: line.sequence)
        victim.todo = victim.cells.tokens + victim.todo
        self._pool.empty(victim.cells)
        victim.paused = True
        return []


def devices() -> list[str]:
    """The devices that this build of llama.cpp can use."""
    return ["CPU", *(["GPU"] if the_library().c.llama_supports_gpu_offload() else [])]
