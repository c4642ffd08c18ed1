"""How a budget is parted: the KV cache of llama.cpp, and ordinary memory for conversations that have left it. Pure."""

from __future__ import annotations

from fluid_server.types import RuntimeOptions

SHELF_SHARE = 4  # what has left the cache may take this part of it: one in four
MIB = 1024**2


def room_for_a_shelf(options: RuntimeOptions, token_bytes: int | None, context: int, cells: int) -> tuple[int, int]:
    """How many of the cache's cells are left beside a shelf, and the bytes that the shelf may take.

    Both together keep to the budget, and no context is shortened for a shelf. 0 bytes where there is no room for one.
    """
    if token_bytes is None:
        return cells, 0
    if options.kv_budget_bytes is not None:
        both = options.kv_budget_bytes // token_bytes
        cells = max(context, min(cells, both * SHELF_SHARE // (SHELF_SHARE + 1)))
        return cells, min(cells // SHELF_SHARE, max(0, both - cells)) * token_bytes
    return cells, cells // SHELF_SHARE * token_bytes


def room_in_the_core(
    options: RuntimeOptions, token_bytes: int | None, context: int, cells: int, state_bytes: int = 0
) -> tuple[int, int, int]:
    """The same for llama.cpp's server core, which has a shelf of its own; last, how many MiB it is to be told.

    For a moment it keeps one conversation more than it has been told, so there must be room for two: a whole context
    each, and ``state_bytes``, all that recurrent layers keep of one. What is larger than it was told would be lost with
    its slot's cells. With a GPU there is no shelf either: it looks through cells faster than they are moved.
    """
    if options.device != "CPU" or token_bytes is None:
        return cells, 0, 0
    left, size = room_for_a_shelf(options, token_bytes, context, cells)
    one = context * token_bytes + state_bytes
    told = (size - one) // MIB
    return (left, size, told) if told > 0 and size >= 2 * one else (cells, 0, 0)
