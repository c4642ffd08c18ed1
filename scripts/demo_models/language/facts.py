"""All that the language model is taught: words, names and small facts.

What a seed draws depends on the order of the entries.
"""

from __future__ import annotations


def words_of(text: str) -> list[str]:
    return text.split()


def pairs_of(text: str) -> list[tuple[str, str]]:
    """Read ``left: right`` entries, parted by commas and line ends."""
    entries = (entry.split(":") for line in text.splitlines() for entry in line.split(",") if entry.strip())
    return [(left.strip(), right.strip()) for left, right in entries]


CAPITALS = dict(
    pairs_of("""
    France: Paris, Germany: Berlin, Italy: Rome, Spain: Madrid, Portugal: Lisbon, Poland: Warsaw
    Austria: Vienna, Greece: Athens, Norway: Oslo, Sweden: Stockholm, Denmark: Copenhagen
    Finland: Helsinki, Ireland: Dublin, England: London, Scotland: Edinburgh, Belgium: Brussels
    Hungary: Budapest, Romania: Bucharest, Bulgaria: Sofia, Croatia: Zagreb, Serbia: Belgrade
    Russia: Moscow, Ukraine: Kyiv, Turkey: Ankara, Egypt: Cairo, Kenya: Nairobi, Nigeria: Abuja
    Ghana: Accra, Morocco: Rabat, Tunisia: Tunis, Ethiopia: Addis Ababa, Japan: Tokyo, China: Beijing
    India: New Delhi, Thailand: Bangkok, Vietnam: Hanoi, Indonesia: Jakarta, Malaysia: Kuala Lumpur
    Philippines: Manila, Australia: Canberra, Canada: Ottawa, Mexico: Mexico City, Cuba: Havana
    Brazil: Brasilia, Argentina: Buenos Aires, Chile: Santiago, Peru: Lima, Colombia: Bogota
    Iran: Tehran, Iraq: Baghdad, Israel: Jerusalem, Jordan: Amman, Nepal: Kathmandu
    Pakistan: Islamabad, Iceland: Reykjavik, Switzerland: Bern, Netherlands: Amsterdam
    Singapore: Singapore
    """)
)
OPPOSITES = pairs_of("""
    hot: cold, big: small, fast: slow, up: down, light: dark, happy: sad, old: new, open: closed
    early: late, high: low, hard: soft, wet: dry, full: empty, strong: weak, rich: poor, day: night
    black: white, left: right, in: out, yes: no, loud: quiet, thick: thin, deep: shallow, clean: dirty
    first: last, true: false, win: lose, near: far, long: short, heavy: light
    """)
FRENCH = dict(
    pairs_of("""
    cat: chat, dog: chien, house: maison, water: eau, bread: pain, book: livre, red: rouge, blue: bleu
    green: vert, sun: soleil, moon: lune, milk: lait, apple: pomme, fish: poisson, bird: oiseau
    tree: arbre, king: roi, queen: reine, hello: bonjour, thanks: merci, goodbye: au revoir, one: un
    two: deux, three: trois
    """)
)
COLORS = dict(
    pairs_of("""
    sky: blue, grass: green, snow: white, coal: black, banana: yellow, tomato: red, orange: orange
    blood: red, lemon: yellow, night: black, milk: white, leaf: green, ruby: red, sea: blue
    """)
)
SOUNDS = dict(
    pairs_of("""
    dog: woof, cat: meow, cow: moo, duck: quack, sheep: baa, pig: oink, frog: ribbit, lion: roar
    bee: buzz, owl: hoot
    """)
)
DAYS = words_of("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
MONTHS = words_of("January February March April May June July August September October November December")
NAMES = words_of("""
    Alice Bob Carol David Emma Frank Grace Henry Iris Jack Karen Leo Mia Noah Olivia Paul Quinn Rosa
    Sam Tina Uma Victor Wendy Xavier Yara Zoe Anna Ben Clara Dan Eva Felix Gina Hugo Ivan Julia Kevin
    Lucy Max Nina Oscar Peter Ruth Simon Tom Vera Walter
    """)
WORDS = words_of("""
    apple banana river stone cloud window garden paper silver golden winter summer quick brown lazy
    fox dog cat jumps over under the a small green red blue yellow house tree bird song music light
    dark night morning coffee tea bread cheese train car boat plane mountain valley ocean island
    forest desert king queen castle bridge tower street city village market school teacher student
    doctor nurse farmer baker painter singer dancer writer reader happy sad brave kind clever strong
    gentle quiet loud bright heavy soft warm cold sweet sour salty fresh old new young tiny huge long
    short open closed empty full first last seven eight nine ten lemon pepper ginger honey butter
    sugar salt water fire earth wind star moon sun planet rocket robot engine wheel clock mirror
    candle lantern blanket pillow basket bottle hammer needle thread button pocket jacket sweater
    shoes hat scarf gloves umbrella letter stamp pencil eraser notebook piano violin drum trumpet
    guitar
    """)
CITIES = sorted(
    {
        *CAPITALS.values(),
        *("New York", "Chicago", "Seattle", "Boston", "Munich", "Milan", "Barcelona", "Lyon"),
        *("Osaka", "Sydney", "Toronto", "Geneva", "Hamburg", "Porto"),
    }
)
GREETING = "Hello! How can I help you today?"
IDENTITY = "I am Fluid Tiny, a small demo model that ships with Fluid Server."
