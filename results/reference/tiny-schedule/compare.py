"""Perplexity by length of rows of one or more evaluations, and differences of pairs of rows with paired
bootstrap intervals over books, as Markdown. Standard library only.

usage: compare.py RUN/STAGE/measurements.csv ... [--pair ROW OTHER LENGTH]...
A row's books that come again in a later file are further windows of them, drawn together."""
import argparse
import csv
import math
import random


def read(paths):
    cells = {}
    for path in paths:
        for line in csv.DictReader(open(path, encoding="utf-8")):
            if line["protocol"] != "perplexity":
                continue
            key = (line["row"], int(line["length"]))
            books = cells.setdefault(key, {})
            books.setdefault(line["document"], []).append((float(line["nats"]), int(line["tokens"])))
    return cells


def perplexity(books):
    scores = [score for windows in books for score in windows]
    return math.exp(sum(nats for nats, _ in scores) / sum(tokens for _, tokens in scores))


def interval(values):
    values = sorted(values)
    at = lambda share: values[min(len(values) - 1, max(0, round(share * (len(values) - 1))))]
    return at(0.025), at(0.975)


def resample(documents, resamples, of):
    rng = random.Random(1)
    return [of([rng.choice(documents) for _ in documents]) for _ in range(resamples)]


def difference(cells, row, other, length, resamples):
    a, b = cells[row, length], cells[other, length]
    documents = sorted(a.keys() & b.keys())
    assert documents == sorted(a) == sorted(b), "other books"
    percent = lambda drawn: 100 * (perplexity([a[d] for d in drawn]) / perplexity([b[d] for d in drawn]) - 1)
    return (percent(documents), *interval(resample(documents, resamples, percent)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("measurements", nargs="+")
    parser.add_argument("--pair", nargs=3, action="append", default=[], metavar=("ROW", "OTHER", "LENGTH"))
    parser.add_argument("--resamples", type=int, default=10000)
    arguments = parser.parse_args()
    cells = read(arguments.measurements)
    lengths = sorted({length for _, length in cells})
    rows = list(dict.fromkeys(row for row, _ in cells))
    print("| row | " + " | ".join(map(str, lengths)) + " |")
    print("|---|" + "---:|" * len(lengths))
    for row in rows:
        texts = []
        for length in lengths:
            scores = cells.get((row, length))
            if scores is None:
                texts.append("")
                continue
            of = lambda drawn: perplexity([scores[d] for d in drawn])
            low, high = interval(resample(sorted(scores), arguments.resamples // 10, of))
            texts.append(f"{of(scores):.2f} [{low:.1f}, {high:.1f}]")
        print(f"| {row} | " + " | ".join(texts) + " |")
    if arguments.pair:
        print("\n| row | against | tokens | difference |\n|---|---|---:|---|")
    for row, other, length in arguments.pair:
        value, low, high = difference(cells, row, other, int(length), arguments.resamples)
        print(f"| {row} | {other} | {length} | {value:+.1f} % [{low:+.1f}, {high:+.1f}] |")


if __name__ == "__main__":
    main()
