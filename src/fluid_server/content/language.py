"""Languages by code or English name, as Whisper's multilingual models know them."""

from __future__ import annotations

from fluid_server.errors import InvalidRequest

# Whisper's languages in the order of its tokens; names as in OpenAI's published list.
NAMES = {
    "en": "english", "zh": "chinese", "de": "german", "es": "spanish", "ru": "russian", "ko": "korean",
    "fr": "french", "ja": "japanese", "pt": "portuguese", "tr": "turkish", "pl": "polish", "ca": "catalan",
    "nl": "dutch", "ar": "arabic", "sv": "swedish", "it": "italian", "id": "indonesian", "hi": "hindi",
    "fi": "finnish", "vi": "vietnamese", "he": "hebrew", "uk": "ukrainian", "el": "greek", "ms": "malay",
    "cs": "czech", "ro": "romanian", "da": "danish", "hu": "hungarian", "ta": "tamil", "no": "norwegian",
    "th": "thai", "ur": "urdu", "hr": "croatian", "bg": "bulgarian", "lt": "lithuanian", "la": "latin",
    "mi": "maori", "ml": "malayalam", "cy": "welsh", "sk": "slovak", "te": "telugu", "fa": "persian",
    "lv": "latvian", "bn": "bengali", "sr": "serbian", "az": "azerbaijani", "sl": "slovenian",
    "kn": "kannada", "et": "estonian", "mk": "macedonian", "br": "breton", "eu": "basque",
    "is": "icelandic", "hy": "armenian", "ne": "nepali", "mn": "mongolian", "bs": "bosnian",
    "kk": "kazakh", "sq": "albanian", "sw": "swahili", "gl": "galician", "mr": "marathi", "pa": "punjabi",
    "si": "sinhala", "km": "khmer", "sn": "shona", "yo": "yoruba", "so": "somali", "af": "afrikaans",
    "oc": "occitan", "ka": "georgian", "be": "belarusian", "tg": "tajik", "sd": "sindhi", "gu": "gujarati",
    "am": "amharic", "yi": "yiddish", "lo": "lao", "uz": "uzbek", "fo": "faroese", "ht": "haitian creole",
    "ps": "pashto", "tk": "turkmen", "nn": "nynorsk", "mt": "maltese", "sa": "sanskrit",
    "lb": "luxembourgish", "my": "myanmar", "bo": "tibetan", "tl": "tagalog", "mg": "malagasy",
    "as": "assamese", "tt": "tatar", "haw": "hawaiian", "ln": "lingala", "ha": "hausa", "ba": "bashkir",
    "jw": "javanese", "su": "sundanese", "yue": "cantonese",
}  # fmt: skip
CODES = {name: code for code, name in NAMES.items()} | {"mandarin": "zh", "castilian": "es", "flemish": "nl"}


def language_code(language: str | None, *, param: str = "language") -> str | None:
    """``English``, ``en`` and ``en-GB`` are all ``en``; None stays None. Errors: InvalidRequest naming ``param``."""
    if language is None:
        return None
    asked = language.strip().lower()
    code = CODES.get(asked) or asked.replace("_", "-").split("-")[0]
    if code not in NAMES:
        raise InvalidRequest(
            f"'{language[:40]}' is no language that Whisper knows. Use a code such as 'en', or leave it out.",
            param=param,
        )
    return code


def language_name(code: str) -> str:
    """The English name of a language in lower case, as OpenAI's transcripts give it; an unknown code stays itself."""
    return NAMES.get(code, code)
