"""What the writers of hostile files share: a case, and the sound model that is spoilt."""
import os, struct, sys

ROOT = os.path.abspath(sys.argv[1])
WIDTH, VOCAB, CONTEXT = 8, 259, 64  # of the sound model, all of whose weights are 0
TEXT = "Call me Ishmael. " * 20
EVAL = "eval --model {path}%s --text {path}/text.txt --lengths 16 --threads 1 --backend reference"
lines = []


def case(name, arguments, words, files, outcome="refused"):
    """files: by name; bytes, a text, or (bytes, size) of a file with a hole behind the bytes."""
    folder = os.path.join(ROOT, name)
    os.makedirs(folder)
    for file, content in files.items():
        content, size = content if isinstance(content, tuple) else (content, 0)
        with open(os.path.join(folder, file), "wb") as out:
            out.write(content.encode() if isinstance(content, str) else content)
            if size:
                out.truncate(size)
    lines.append("\t".join([name, arguments, "|".join(words), outcome]))


def u64(number):
    return struct.pack("<Q", number)
