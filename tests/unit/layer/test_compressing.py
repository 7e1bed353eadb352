"""Compressed layers: what comes out is what went in, and always the same bytes."""

import gzip
import io
import random
from concurrent.futures import ThreadPoolExecutor

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as some

from wherry.base.errors import InvalidInput
from wherry.layer.compressing import BLOCK, COMPRESSIONS, compressed
from wherry.layer.decompressing import open_layer


def squeeze(data, compression, workers=2):
    with ThreadPoolExecutor(workers) as executor:
        return b"".join(compressed(io.BytesIO(data).read, compression, executor))


def expand(data, compression):
    read, plain = open_layer(io.BytesIO(data), compression), b""
    while piece := read(1 << 16):
        plain += piece
    return plain


SIZES = [0, 1, 511, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK + 7]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("size", SIZES)
def test_every_size_comes_back(compression, size):
    data = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    packed = squeeze(data, compression)
    assert expand(packed, compression) == data
    if compression == "gzip":
        assert gzip.decompress(packed) == data
    else:
        assert zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True).read() == data


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_the_bytes_depend_on_nothing_but_the_bytes(compression):
    data = random.Random(1).randbytes(3 * BLOCK) + bytes(9 * BLOCK)
    assert squeeze(data, compression, 1) == squeeze(data, compression, 7)


@given(some.binary(max_size=5000), some.sampled_from(COMPRESSIONS))
def test_anything_comes_back(data, compression):
    assert expand(squeeze(data, compression), compression) == data


def test_other_compressions_are_refused():
    with pytest.raises(InvalidInput):
        squeeze(b"", "lz4")
