#!/usr/bin/env python3
"""Prints a character vector of an R package's data, one element a line, as UTF-8.

usage: read_r_data.py STEM NAME     e.g. read_r_data.py .../janeaustenr/data/Rdata emma

R keeps the data of a package in a lazy-load database of two files. STEM.rdx is a gzipped, serialised R list
whose `variables` give for each object its (offset, length) in STEM.rdb; there lie 4 bytes, the length of the
unpacked object, and a zlib stream of the serialised object. The serialisation is R's binary "XDR" form
(R Internals, section 1.8): big-endian, versions 2 and 3. Only the kinds of object that such an index and
plain vectors consist of are read here; any other one is an error.
"""
import struct
import sys
import zlib

# R's codes for kinds of object (SEXPTYPE, and the pseudo-types of serialize.c).
SYMBOL, PAIRLIST, CHAR, LOGICAL, INTEGER, STRINGS, LIST = 1, 2, 9, 10, 13, 16, 19
NULL, REFERENCE = 254, 255
HAS_ATTRIBUTES, HAS_TAG = 0x200, 0x400
LATIN1 = 1 << 14  # an encoding bit of CHAR; without it the text is UTF-8 or ASCII


class Reader:
    def __init__(self, data):
        self.data, self.at, self.symbols = data, 0, []
        if self.take(2) != b"X\n":
            raise ValueError("not a binary R serialisation")
        version = self.integer()
        if version not in (2, 3):
            raise ValueError("R serialisation version %d" % version)
        self.take(8)  # the R version that wrote it, and the oldest that reads it
        if version == 3:
            self.take(self.integer())  # the name of the native encoding

    def take(self, count):
        if not 0 <= count <= len(self.data) - self.at:
            raise ValueError("R data ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self):
        return struct.unpack(">i", self.take(4))[0]

    def attributes(self):
        found = {}
        while True:
            flags = self.integer()
            if flags & 255 == NULL:
                return found
            if flags & 255 != PAIRLIST or not flags & HAS_TAG or flags & HAS_ATTRIBUTES:
                raise ValueError("unexpected R attribute list")
            tag = self.item()
            found[tag] = self.item()

    def item(self):
        """The next object: a vector becomes a list, a vector with names a dict."""
        flags = self.integer()
        kind = flags & 255
        if kind == NULL:
            return None
        if kind == REFERENCE:  # to a symbol met before, numbered from 1
            return self.symbols[(flags >> 8) - 1]
        if kind == SYMBOL:
            self.symbols.append(self.item())
            return self.symbols[-1]
        if kind not in (CHAR, LOGICAL, INTEGER, STRINGS, LIST):
            raise ValueError("R object of type %d is not supported" % kind)
        size = self.integer()
        if kind == CHAR:
            return self.take(size).decode("latin-1" if flags & LATIN1 else "utf-8")
        read = self.item if kind in (STRINGS, LIST) else self.integer
        value = [read() for _ in range(size)]
        names = self.attributes().get("names") if flags & HAS_ATTRIBUTES else None
        return dict(zip(names, value)) if names else value


def load(stem, name):
    with open(stem + ".rdx", "rb") as f:
        index = Reader(zlib.decompress(f.read(), 31)).item()  # 31: with a gzip header
    if index["compressed"] != [1]:
        raise ValueError("the database is not compressed by zlib")
    offset, length = index["variables"][name]
    with open(stem + ".rdb", "rb") as f:
        f.seek(offset)
        packed = f.read(length)
    return Reader(zlib.decompress(packed[4:])).item()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: read_r_data.py STEM NAME")
    sys.stdout.buffer.write("".join(line + "\n" for line in load(*sys.argv[1:])).encode("utf-8"))
