"""The vocabulary of the embedded corpus: scales, progressions, instruments, drum patterns. Plain tables."""

from typing import NamedTuple


class Voice(NamedTuple):
    """One General-MIDI instrument and where it plays."""

    program: int  # General-MIDI program, 0-based
    low: int  # lowest and highest MIDI note that suits it
    high: int
    roles: tuple[str, ...]  # parts that it can take: "lead", "chords", "bass", "pad"
    sustains: bool  # False for plucked and struck ones


VOICES = {
    "piano": Voice(0, 36, 88, ("lead", "chords"), False),
    "bright piano": Voice(1, 40, 88, ("lead", "chords"), False),
    "electric piano": Voice(4, 40, 84, ("lead", "chords"), False),
    "harpsichord": Voice(6, 41, 84, ("lead", "chords"), False),
    "vibraphone": Voice(11, 53, 86, ("lead", "chords"), False),
    "marimba": Voice(12, 48, 91, ("lead", "chords"), False),
    "xylophone": Voice(13, 60, 96, ("lead",), False),
    "organ": Voice(16, 40, 84, ("lead", "chords", "pad"), True),
    "church organ": Voice(19, 36, 84, ("chords", "pad"), True),
    "accordion": Voice(21, 53, 86, ("lead", "chords"), True),
    "nylon guitar": Voice(24, 40, 79, ("lead", "chords"), False),
    "steel guitar": Voice(25, 40, 81, ("lead", "chords"), False),
    "jazz guitar": Voice(26, 40, 81, ("lead", "chords"), False),
    "clean guitar": Voice(27, 40, 84, ("lead", "chords"), False),
    "muted guitar": Voice(28, 40, 76, ("lead", "chords"), False),
    "upright bass": Voice(32, 28, 55, ("bass",), False),
    "finger bass": Voice(33, 28, 58, ("bass",), False),
    "pick bass": Voice(34, 28, 58, ("bass",), False),
    "slap bass": Voice(36, 28, 58, ("bass",), False),
    "synth bass": Voice(38, 24, 55, ("bass",), True),
    "violin": Voice(40, 55, 96, ("lead",), True),
    "viola": Voice(41, 48, 86, ("lead",), True),
    "cello": Voice(42, 36, 76, ("lead", "bass"), True),
    "pizzicato strings": Voice(45, 40, 84, ("chords", "lead"), False),
    "harp": Voice(46, 40, 96, ("chords", "lead"), False),
    "strings": Voice(48, 40, 88, ("pad", "chords"), True),
    "choir": Voice(52, 45, 81, ("pad",), True),
    "voice": Voice(53, 48, 81, ("lead", "pad"), True),
    "trumpet": Voice(56, 55, 84, ("lead",), True),
    "trombone": Voice(57, 40, 72, ("lead",), True),
    "french horn": Voice(60, 41, 77, ("lead", "pad"), True),
    "brass": Voice(61, 48, 82, ("chords", "lead"), True),
    "alto saxophone": Voice(65, 49, 80, ("lead",), True),
    "oboe": Voice(68, 58, 89, ("lead",), True),
    "clarinet": Voice(71, 50, 89, ("lead",), True),
    "flute": Voice(73, 60, 94, ("lead",), True),
    "square lead": Voice(80, 48, 86, ("lead",), True),
    "saw lead": Voice(81, 48, 84, ("lead",), True),
    "warm pad": Voice(89, 45, 81, ("pad",), True),
    "kalimba": Voice(108, 55, 86, ("lead", "chords"), False),
}
LEADS = tuple(name for name, voice in VOICES.items() if "lead" in voice.roles)
CHORDS = tuple(name for name, voice in VOICES.items() if "chords" in voice.roles)
BASSES = tuple(name for name, voice in VOICES.items() if "bass" in voice.roles)
PADS = tuple(name for name, voice in VOICES.items() if "pad" in voice.roles)
SOLOS = (*VOICES, "drums", "drums", "drums", "drums")  # every instrument has its turn; drums four

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
}
PROGRESSIONS = {  # scale degrees (0 is the tonic), one a bar
    "major": ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 4), (5, 3, 0, 4), (0, 2, 3, 4), (1, 4, 0, 0), (0, 3, 0, 4)),
    "minor": ((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 6), (0, 3, 6, 2), (5, 6, 0, 0), (0, 0, 3, 4)),
    "dorian": ((0, 3, 0, 3), (0, 6, 3, 0), (0, 1, 3, 0), (0, 2, 3, 3)),
    "mixolydian": ((0, 6, 3, 0), (0, 3, 6, 0), (0, 4, 6, 3), (0, 0, 6, 6)),
    "harmonic minor": ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 0, 4), (3, 0, 4, 0)),
}
METERS = {"4/4": (4, 1.0), "3/4": (3, 1.0), "6/8": (6, 0.5)}  # beats a bar, beat in quarter notes

KICK, SIDE_STICK, SNARE, CLAP, CLOSED_HAT, OPEN_HAT, LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE, SHAKER = (
    36, 37, 38, 39, 42, 46, 45, 47, 50, 49, 51, 70,
)  # fmt: skip
# One bar of sixteen (4/4) or twelve (3/4, 6/8) steps; the digit is the loudness (9 loudest), '.' a rest.
GROOVES = {
    "4/4": (
        {KICK: "9.......8.......", SNARE: "....9.......9...", CLOSED_HAT: "7.5.7.5.7.5.7.5."},
        {KICK: "9..6..8.....5...", SNARE: "....9.......9..3", CLOSED_HAT: "7454745474547454"},
        {KICK: "9...9...9...9...", CLAP: "....8.......8...", OPEN_HAT: "..6...6...6...6."},
        {KICK: "9.....7...8.....", SNARE: "....8..2.2..8...", RIDE: "7..56..57..56..5"},
        {KICK: "9..8....9..8....", SIDE_STICK: "..7..7....7...7.", SHAKER: "6464646464646464"},
        {KICK: "9.........9.....", SNARE: "........9.......", RIDE: "7...6...7...6..5", SHAKER: "....5.......5..."},
        {LOW_TOM: "8..8..8...6.6...", MID_TOM: "..5...5.5...5..."},
    ),
    "3/4": (
        {KICK: "9...........", SNARE: "....6...6...", CLOSED_HAT: "6...6...6.5."},
        {KICK: "9.....6.....", SIDE_STICK: "....7...7...", RIDE: "7..56..57..5"},
    ),
    "6/8": (
        {KICK: "9.....5.....", SNARE: "......8.....", CLOSED_HAT: "7.5.5.7.5.5."},
        {KICK: "9....6......", SIDE_STICK: "......8...4.", SHAKER: "646464646464"},
    ),
}  # fmt: skip
