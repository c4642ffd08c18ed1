"""The whole table."""

from __future__ import annotations

from scripts.contract.case import Case
from scripts.contract.cases_audio import SPOKEN, SPOKEN_EXTRAS
from scripts.contract.cases_chat import CHAT
from scripts.contract.cases_completions import COMPLETED
from scripts.contract.cases_embeddings import EMBEDDED, EMBEDDED_EXTRAS
from scripts.contract.cases_errors import LISTED, REFUSED
from scripts.contract.cases_formats import FORMED
from scripts.contract.cases_ours import EXTRAS
from scripts.contract.cases_responses import CALLED_BY_RESPONSES, RESPONDED
from scripts.contract.cases_responses_kept import KEPT
from scripts.contract.cases_sampling import SAMPLED
from scripts.contract.cases_speech import SAID, SAID_EXTRAS
from scripts.contract.cases_stored import STORING, TALKING
from scripts.contract.cases_tools import CALLING, THINKING

CASES: tuple[Case, ...] = (
    *CHAT, *SAMPLED, *FORMED, *CALLING, *THINKING, *COMPLETED, *STORING, *TALKING,
    *RESPONDED, *CALLED_BY_RESPONSES, *KEPT, *SPOKEN, *SAID, *EMBEDDED, *LISTED, *REFUSED,
    *EXTRAS, *SPOKEN_EXTRAS, *SAID_EXTRAS, *EMBEDDED_EXTRAS,
)  # fmt: skip
