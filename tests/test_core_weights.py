import numpy as np
import pytest

from dafxvae.core.errors import UserError
from dafxvae.core.weights import fingerprint, load_weights, save_weights

VARIABLES = {
    "h": {"Dense_0": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.zeros(3, np.float32)}}
}


def test_round_trip_is_exact(tmp_path):
    save_weights(tmp_path / "deep" / "w.safetensors", VARIABLES, {"kind": "controller", "x": [1, 2]})
    variables, metadata = load_weights(tmp_path / "deep" / "w.safetensors")
    assert fingerprint(variables) == fingerprint(VARIABLES)
    np.testing.assert_array_equal(variables["h"]["Dense_0"]["kernel"], VARIABLES["h"]["Dense_0"]["kernel"])
    assert metadata["kind"] == "controller"
    assert metadata["x"] == [1, 2]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["w.safetensors"]


def test_fingerprint_tells_bytes_shapes_and_names_apart():
    base = {"a": np.zeros((2, 3), np.float32)}
    others = [
        {"a": np.full((2, 3), 1e-30, np.float32)},
        {"a": np.zeros((3, 2), np.float32)},
        {"b": np.zeros((2, 3), np.float32)},
        {"a": np.zeros((2, 3), np.float16)},
    ]
    assert len({fingerprint(tree) for tree in [base, *others]}) == 5


def test_a_flipped_bit_is_found(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, VARIABLES, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="checksum"):
        load_weights(path)


@pytest.mark.parametrize("content", [b"", b"not a weights file", b"\x80\x04\x95garbage pickle"])
def test_anything_else_is_refused(tmp_path, content):
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"w\.safetensors"):
        load_weights(path)


def test_truncated_and_missing(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, VARIABLES, {})
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="not a readable"):
        load_weights(path)
    with pytest.raises(UserError, match="no weights"):
        load_weights(tmp_path / "nothing.safetensors")


def test_half_precision_is_rounded_once(tmp_path):
    path, again = tmp_path / "w.safetensors", tmp_path / "again.safetensors"
    values = {"w": np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32), "n": np.arange(3)}
    save_weights(path, values, {}, half=True)
    loaded = load_weights(path).variables
    assert loaded["w"].dtype == np.float32
    assert loaded["n"].dtype == values["n"].dtype
    np.testing.assert_allclose(loaded["w"], values["w"], rtol=5e-4)
    save_weights(again, loaded, {}, half=True)
    assert fingerprint(load_weights(again).variables) == fingerprint(loaded)
    with pytest.raises(ValueError, match="float16"):
        save_weights(path, {"w": np.full(1, 1e6, np.float32)}, {}, half=True)
