#!/usr/bin/env python3
"""Writes small tokenizers in the styles of known models, hard and random text, and digests of the libraries' ids.

usage: make_golden.py BOOKS_DIR

    python3.11 -m venv venv && venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3 gguf==0.19.0
    bash data/fetch_books.sh
    venv/bin/python tests/golden/tokenizers/make_golden.py data/books

Beside this script:

    NAME.json      a tokenizer.json of each style of styles.py, trained on two books
    smollm2.gguf   the vocabulary of smollm2.json, and no tensors: tokenizer.ggml.model "gpt2"
    llama.gguf     the vocabulary of data/tiny/tokenizer.model: tokenizer.ggml.model "llama"
    torture.txt    styles.torture()
    random.json    2000 texts of styles.fuzz(), a list
    golden.json    for each NAME: torture, random, and each book: [ids, SHA-256 of the ids]; and the SHA-256 of each book

The ids are `tokenizers` encode() of a whole text, unchanged; digested in decimal, each followed by "\\n" (of the random
texts, "-\\n" stands after each text).
"""
import hashlib
import json
import os
import sys

import gguf
import sentencepiece
from tokenizers import Tokenizer

import styles

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
BOOKS = ["moby-dick.txt", "opticks.txt"]
SIZE = 1000


def digest(lists, separator=""):
    lines = "".join("".join("%d\n" % i for i in ids) + separator for ids in lists)
    return [sum(map(len, lists)), hashlib.sha256(lines.encode()).hexdigest()]


def write_gguf(name, model, tokens, types, fill):
    writer = gguf.GGUFWriter(os.path.join(HERE, name), "llama")
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_gguf_files():
    with open(os.path.join(HERE, "smollm2.json"), encoding="utf-8") as f:
        data = json.load(f)
    added = {t["id"]: t for t in data["added_tokens"]}
    vocab = dict(data["model"]["vocab"], **{t["content"]: t["id"] for t in added.values()})
    tokens = sorted(vocab, key=vocab.get)
    kinds = [3 if i in added and added[i]["special"] else 4 if i in added else 1 for i in range(len(tokens))]
    merges = [" ".join(m) if isinstance(m, list) else m for m in data["model"]["merges"]]

    def fill_bytes(writer):
        writer.add_tokenizer_pre("smollm")
        writer.add_token_merges(merges)
    write_gguf("smollm2.gguf", "gpt2", tokens, kinds, fill_bytes)

    processor = sentencepiece.SentencePieceProcessor(model_file=os.path.join(ROOT, "data/tiny/tokenizer.model"))
    count = processor.get_piece_size()
    kinds = [2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1 for i in range(count)]

    def fill_pieces(writer):
        writer.add_token_scores([processor.get_score(i) for i in range(count)])
        writer.add_bos_token_id(1)
        writer.add_add_bos_token(True)
    write_gguf("llama.gguf", "llama", [processor.id_to_piece(i) for i in range(count)], kinds, fill_pieces)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    books = [os.path.join(sys.argv[1], name) for name in BOOKS]
    tokenizers = {name: styles.byte_style(name, books=books, size=SIZE) for name in styles.BYTE_STYLES}
    tokenizers["llama2"] = styles.llama2_style(books=books, size=SIZE)
    tokenizers["llama2-metaspace-first"] = styles.llama2_style(books=books, size=SIZE, metaspace="first")
    torture, random = styles.torture(), styles.fuzz(8, 2000)
    with open(os.path.join(HERE, "torture.txt"), "w", encoding="utf-8", newline="") as f:
        f.write(torture)
    with open(os.path.join(HERE, "random.json"), "w", encoding="utf-8") as f:
        json.dump(random, f, ensure_ascii=False, indent=0)
    golden = {"books": {}, "styles": {}}
    texts = {}
    for name, path in zip(BOOKS, books):
        with open(path, "rb") as f:
            data = f.read()
        golden["books"][name] = hashlib.sha256(data).hexdigest()
        texts[name] = data.decode("utf-8")
    for name, tokenizer in tokenizers.items():
        path = os.path.join(HERE, name + ".json")
        with open(path, "w", encoding="utf-8") as f:
            f.write(tokenizer.to_str())
        tokenizer = Tokenizer.from_file(path)
        encode = lambda text: tokenizer.encode(text).ids
        golden["styles"][name] = dict(
            torture=digest([encode(torture)]), random=digest([encode(t) for t in random], "-\n"),
            books={book: digest([encode(text)]) for book, text in texts.items()})
        print(name, golden["styles"][name]["torture"][0], os.path.getsize(path))
    with open(os.path.join(HERE, "golden.json"), "w") as f:
        json.dump(golden, f, indent=1)
        f.write("\n")
    write_gguf_files()


if __name__ == "__main__":
    main()
