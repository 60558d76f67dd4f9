#!/usr/bin/env python3
"""Golden files of quantised blocks: what the gguf package's dequantize makes of them.

usage: make_golden.py              writes TYPE.stored and TYPE.f32 beside this script
       make_golden.py digests GGUF writes a line "NAME SHA256" a tensor to standard output: of its
                                   float32 numbers as the package dequantises them, in file order

Needs the gguf package and numpy (never needed to build, run or test this project). Made with
gguf 0.19.0 and numpy 1.26.4.
"""

import hashlib
import pathlib
import sys

import gguf
import numpy

HERE = pathlib.Path(__file__).resolve().parent
BLOCKS = {32: 40, 256: 12, 1: 512}  # of a type, by elements in a block
# Where a block's float16 scales stand, in bytes.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
# +-0, the smallest and largest subnormals, 1, -1, the largest number, infinities, a NaN.
SPECIAL = [0x0000, 0x8000, 0x0001, 0x03FF, 0x83FF, 0x3C00, 0xBC00, 0x7BFF, 0x7C00, 0xFC00, 0x7E00]


def stored(name, random):
    """Random bytes in blocks whose scales are sound numbers, save for some special ones."""
    elements, size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[name]]
    blocks = random.integers(0, 256, (BLOCKS[elements], size), dtype=numpy.uint8)
    for at in SCALES.get(name, []):
        scales = random.normal(0, 0.02, len(blocks)).astype(numpy.float16).view(numpy.uint16)
        scales[: len(SPECIAL)] = random.permutation(SPECIAL)[: len(scales)]
        blocks[:, at : at + 2] = scales.reshape(-1, 1).view(numpy.uint8)
    return blocks.reshape(-1)


def write_blocks():
    random = numpy.random.default_rng(8)
    for name in ["F32", "F16", "BF16", *SCALES]:
        data = stored(name, random)
        with numpy.errstate(all="ignore"):
            numbers = gguf.dequantize(data, gguf.GGMLQuantizationType[name])
        (HERE / f"{name.lower()}.stored").write_bytes(data.tobytes())
        (HERE / f"{name.lower()}.f32").write_bytes(numbers.astype("<f4").tobytes())


def print_digests(path):
    for tensor in gguf.GGUFReader(path).tensors:
        numbers = gguf.dequantize(tensor.data, tensor.tensor_type).astype("<f4")
        print(tensor.name, hashlib.sha256(numbers.tobytes()).hexdigest())


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "digests":
        print_digests(sys.argv[2])
    else:
        write_blocks()
