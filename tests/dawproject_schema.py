"""The part of the DAWproject format (version 1.0) that exports write, as its published schema demands it.

Element: attributes that it must have, that it may have, and its children in their order, `*` for any number and `?`
for at most one.
"""

import re

NAMED, REFERABLE = ("name", "color", "comment"), ("name", "color", "comment", "id")
REAL = (("unit",), (*REFERABLE, "parameterID", "max", "min", "value"), "")
DEVICE = (
    ("deviceName", "deviceRole"),
    (*REFERABLE, "deviceID", "deviceVendor", "loaded"),
    "Parameters? Enabled? State? ",
)
BOOLEAN = ("Mute", "Enabled", "AutoMakeup")
ELEMENTS = {
    "Project": (("version",), (), "Application Transport? Structure? Arrangement? Scenes?"),
    "Application": (("name", "version"), (), ""),
    "Transport": ((), (), "Tempo? TimeSignature?"),
    "TimeSignature": (("denominator", "numerator"), (*REFERABLE, "parameterID"), ""),
    "Structure": ((), (), "Track*"),
    "Track": ((), (*REFERABLE, "contentType", "loaded"), "Channel? Track*"),
    "Channel": ((), (*REFERABLE, "audioChannels", "destination", "role", "solo"), "Devices? Mute? Pan? Sends? Volume?"),
    "Devices": ((), (), "(Vst3Plugin|Equalizer|Compressor|NoiseGate|Limiter)*"),
    "Vst3Plugin": (DEVICE[0], (*DEVICE[1], "pluginVersion"), DEVICE[2]),
    "Equalizer": (*DEVICE[:2], DEVICE[2] + "Band* InputGain? OutputGain?"),
    "Band": (("type",), ("order",), "Freq Gain? Q? Enabled?"),
    "Compressor": (
        *DEVICE[:2],
        DEVICE[2] + "Attack? AutoMakeup? InputGain? OutputGain? Ratio? Release? Threshold?",
    ),
    "NoiseGate": (*DEVICE[:2], DEVICE[2] + "Attack? Range? Ratio? Release? Threshold?"),
    "Limiter": (*DEVICE[:2], DEVICE[2] + "Attack? InputGain? OutputGain? Release? Threshold?"),
    "State": (("path",), ("external",), ""),
    "File": (("path",), ("external",), ""),
    "Arrangement": ((), REFERABLE, "Lanes? Markers? TempoAutomation? TimeSignatureAutomation?"),
    "Lanes": ((), (*REFERABLE, "timeUnit", "track"), "(Lanes|Clips)*"),
    "Clips": ((), (*REFERABLE, "timeUnit", "track"), "Clip*"),
    "Clip": (("time",), (*NAMED, "duration", "contentTimeUnit", "playStart", "playStop"), "Audio?"),
    "Audio": (("channels", "sampleRate", "duration"), (*REFERABLE, "timeUnit", "track", "algorithm"), "File"),
    **dict.fromkeys(BOOLEAN, ((), (*REFERABLE, "parameterID", "value"), "")),
    **dict.fromkeys(("Tempo", "Volume", "Freq", "Gain", "Q", "Attack", "Ratio", "Release", "Threshold"), REAL),
    **dict.fromkeys(("InputGain", "OutputGain", "Range", "Pan"), REAL),
}
TITLES = "Title? Artist? Album? OriginalArtist? Composer? Songwriter? Producer? Arranger? Year? Genre? Copyright? "
METADATA = {"MetaData": ((), (), TITLES + "Website? Comment?"), "Title": ((), (), ""), "Comment": ((), (), "")}
VALUES = {
    "unit": "linear|normalized|percent|decibel|hertz|semitones|seconds|beats|bpm",
    "timeUnit": "beats|seconds",
    "contentTimeUnit": "beats|seconds",
    "deviceRole": "instrument|noteFX|audioFX|analyzer",
    "type": "highPass|lowPass|bandPass|highShelf|lowShelf|bell|notch",
    "role": "regular|master|effect|submix|vca",
    "contentType": "(audio|automation|notes|video|markers|tracks)( (audio|automation|notes|video|markers|tracks))*",
    "loaded": "true|false",
    "deviceID": "[0-9A-F]{32}",
    **dict.fromkeys(("channels", "sampleRate", "audioChannels", "order", "numerator", "denominator"), r"\d+"),
    **dict.fromkeys(("time", "duration", "playStart", "playStop"), r"-?\d+(\.\d+)?(e-?\d+)?"),
    **dict.fromkeys(("id", "track", "destination"), r"[A-Za-z_][\w.-]*"),
}


def check_element(element, elements=ELEMENTS):
    """Asserts that an element and all below it are as the schema demands."""
    must, may, children = elements[element.tag]
    assert set(must) <= set(element.attrib) <= {*must, *may}, (element.tag, element.attrib)
    order = re.sub(r"(\w+)", r"(?:\1 )", children).replace(" ) ", " )").replace(" ", " ").replace(")?  ", ")?")
    order = re.sub(r"(?<=[)?*]) +(?=[(])", "", order).strip()
    found = "".join(f"{child.tag} " for child in element)
    assert re.fullmatch(order, found), (element.tag, found)
    assert element.tag not in BOOLEAN or element.attrib["value"] in ("true", "false")
    for name, value in element.attrib.items():
        assert re.fullmatch(VALUES.get(name, ".*"), value, re.S), (element.tag, name, value)
    for child in element:
        check_element(child, elements)


def check_project(root):
    """Asserts that project.xml is as the schema demands, identities and what refers to them included."""
    check_element(root)
    identities = [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
    assert len(set(identities)) == len(identities)
    refer = [
        element.attrib[name] for element in root.iter() for name in ("track", "destination") if name in element.attrib
    ]
    assert set(refer) <= set(identities)
