#!/usr/bin/env python3
"""Writes torture.txt and golden.json: what SentencePiece itself makes of hard text and of whole books.

usage: make_tokenizer_golden.py TOKENIZER_MODEL BOOKS_DIR [OUT_DIR]

    python3 -m venv venv && venv/bin/pip install sentencepiece==0.2.3
    bash data/fetch_books.sh
    venv/bin/python tests/golden/tokenizer/make_tokenizer_golden.py data/tiny/tokenizer.model data/books

OUT_DIR is by default the folder of this script. torture.txt is built here, out of escapes, since no editor shows
it as it is. golden.json:

    torture.ids           the ids of torture.txt
    books.NAME            for each .txt file of BOOKS_DIR: text_sha256, of the file's bytes;
                          tokens, the number of ids; ids_sha256, of the ids in decimal, each followed by "\\n"

The ids are SentencePiece's encode() of the whole file, as one string and unchanged, with BOS (1) in front.
"""
import hashlib
import json
import os
import sys

import sentencepiece

BOS = 1

# The lines of torture.txt.
LINES = [
    "\ufeffU+FEFF opens this file, and stands in\ufeffside it as well as at the end.\ufeff",
    "",
    "\u201cWhat is the meaning of it, Watson?\u201d said Holmes\u2014\u2018that is what I don\u2019t see.\u2019",
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want.",
    # Spaces.
    " one leading space",
    "     five leading, and  two   three     five          ten within",
    "trailing spaces   ",
    "   ",
    "\ttab first,\ttab\t\twithin, space and tab \t \t, tab last\t",
    "no-break\u00a0space, em\u2003space, thin\u2009space, ideographic\u3000space, zero\u200bwidth\u200cspaces\u200d, word\u2060joiner",
    "line\u2028separator, paragraph\u2029separator, next\u0085line, vertical\u000btab, form\u000cfeed",
    # The marker that SentencePiece writes for a space, as text.
    "\u2581",
    "\u2581\u2581the\u2581 \u2581end \u2581of\u2581 it\u2581",
    # Names of special pieces as text: they must not become those pieces.
    "<s> </s> <unk> <pad> <0x0A> <0x00><0xFF> <s></s>",
    "<s>",
    "a<s>b</s>c<unk>d<0x41>e",
    "[INST] <|endoftext|> <|im_start|> <\u2581s> < s >",
    # Control characters.
    "NUL\0in a word, two\0\0NULs, \0 alone",
    "".join(map(chr, range(1, 9))) + "".join(map(chr, range(14, 32))) + "\x7f" + "".join(map(chr, range(0x80, 0xa0))),
    # Latin, composed and not.
    "na\u00efve caf\u00e9 \u00c6sop \u0152uvre stra\u00dfe \u0141\u00f3d\u017a \u00a320,000 \u00a7 3 \u00b7 \u00d7 \u00b4 \u00e6ther",
    "nai\u0308ve cafe\u0301 A\u030angstro\u0308m \u1e9b\u0323 \u0041\u0300\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u030a",
    "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f\u031e\u0320\u034dA\u036b\u0357\u0334\u0362\u0335\u031c\u0330\u0354L",
    "\u0301 a combining mark after a space, and a line that opens with one",
    "\ufb01ne \ufb02ow o\ufb03ce \ufb05 \u01c6 \u0133 \u2122 \u2460 \u00bd \u2153 x\u00b2 H\u2082O \u2167 \u216b",
    "\uff26\uff55\uff4c\uff4c\uff0d\uff37\uff49\uff44\uff54\uff48 \uff11\uff12\uff13 \uff01\uff1f \uff76\uff9e\uff77\uff9e",
    # Other scripts.
    "\u0393\u03bd\u1ff6\u03b8\u03b9 \u03c3\u03b5\u03b1\u03c5\u03c4\u03cc\u03bd \u1fbc \u0386\u0390\u03b0",
    "\u041c\u043e\u0441\u043a\u0432\u0430, \u0439 \u0438\u0306 \u0404\u0407\u0490 \u04d9\u049b",
    "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u05e2\u05d5\u05dc\u05dd (abc 123) \u05d0\u05d1\u05d2",
    "\u0627\u0644\u0633\u064e\u0651\u0644\u064e\u0627\u0645\u064f \u0639\u064e\u0644\u064e\u064a\u0652\u0643\u064f\u0645\u0652 \u0664\u0665\u0666 \ufdfa \ufefb",
    "\u202eoverride\u202c \u202bembedding\u202c \u2067isolate\u2069 \u200emark\u200f \u061c",
    "\u0928\u092e\u0938\u094d\u0924\u0947 \u0915\u094d\u0937 \u0bb8\u0bcd\u0bb0\u0bc0 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0f66\u0f90\u0fb1\u0f7c \u1019\u103c\u1014\u103a",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u8aad\u66f8\u304c\u5927\u597d\u304d\u3067\u3059\u30ab\u3099\u30ac \ud55c\uad6d\uc5b4 \u1112\u1161\u11ab \u2ff0\u6c35\u67d0",
    "\U00020000\U0002a6d6\U0002b740 \U00030000 \U00010330\U00010331 \U00010400 \U0001d400\U0001d4d0\U0001d538 \U00012000 \U00013000",
    # Emoji: plain, with a variation selector, skin tones, joined by ZWJ, flags, a keycap, a tag sequence.
    "\U0001f600 \u2764\ufe0f \u2764\ufe0e \U0001f44d\U0001f3fd \U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 "
    "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f469\U0001f3ff\u200d\U0001f680 \U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7\U0001f1e9 1\ufe0f\u20e3 "
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    # The edges of UTF-8's lengths, of the planes, and of the gap of the surrogates.
    "\u007f\u0080 \u07ff\u0800 \ud7ff\ue000 \uffff\U00010000 \U0010fffe\U0010ffff",
    "replacement \ufffd\ufffd, noncharacters \ufdd0\ufdef\ufffe\uffff\U0001fffe, private \ue123\uf8ff\U000f0000\U0010fffd",
    "unassigned \u0378\u0530\U000e0fff, deprecated \u0149\u0673\u17a3, soft\u00adhyphen, variation \U000e0100",
    # Digits and signs.
    "0 1 12 123 1234567890 3.14159 1,000,000 0x1F -42 1e-05 10:30 1815 00000000000000000000",
    "\u0660\u0661 \u0966\u0967 \u0be6 \uff10 \U0001d7d8 \u00bc",
    "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
    "--- ---- -- -- * * * ***** _Italic_ ....... !!!! ??!? '' \"\" ``'' Mr. Mrs. St. o'clock 'tis",
    "printf(\"%s\\n\", x[i]->y); // code  { a: [1, 2] }\thttps://example.org/a?b=c&d=%20",
    # Merges: equal letters, alternating ones, and changes of case, where ties of score and their order show.
    "a aa aaa aaaa aaaaa aaaaaa aaaaaaa",
    "abababababababab thethethethethe ereerereerere inginginging ssssssssss llllllllll",
    "CHAPTER Chapter chapter cHaPtEr THE The tHE IS Is iS NOTWITHSTANDING Notwithstanding",
    # Very long words.
    "a" * 300,
    "the" * 100,
    "Honorificabilitudinitatibus" * 12,
    "abcdefghijklmnopqrstuvwxyz" * 12,
    "\u00e9" * 60 + "\u2014" * 20 + "-" * 80,
    " " * 120 + "x" + " " * 17,
    "",
    "",
    "",
    "The last line has no newline at its end, but two spaces  ",
]


def ids_of(tokenizer, data):
    return [BOS] + tokenizer.encode(data.decode("utf-8"))


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit("usage: make_tokenizer_golden.py TOKENIZER_MODEL BOOKS_DIR [OUT_DIR]")
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
    books = sys.argv[2]
    out = sys.argv[3] if len(sys.argv) == 4 else os.path.dirname(os.path.abspath(__file__))

    torture = "\n".join(LINES).encode("utf-8")
    with open(os.path.join(out, "torture.txt"), "wb") as f:
        f.write(torture)
    golden = {"torture": {"ids": ids_of(tokenizer, torture)}, "books": {}}
    for name in sorted(n for n in os.listdir(books) if n.endswith(".txt")):
        with open(os.path.join(books, name), "rb") as f:
            data = f.read()
        ids = ids_of(tokenizer, data)
        golden["books"][name] = {
            "text_sha256": hashlib.sha256(data).hexdigest(),
            "tokens": len(ids),
            "ids_sha256": hashlib.sha256("".join("%d\n" % i for i in ids).encode()).hexdigest(),
        }
        print("%-28s %8d bytes %7d tokens" % (name, len(data), len(ids)))
    with open(os.path.join(out, "golden.json"), "w") as f:
        # In two parts, since an indent would put each id on a line of its own.
        torture_ids, books_found = json.dumps(golden["torture"]), json.dumps(golden["books"], indent=1)
        f.write('{\n"torture": %s,\n"books": %s\n}\n' % (torture_ids, books_found))
    print("torture.txt: %d bytes, %d tokens" % (len(torture), len(golden["torture"]["ids"])))


if __name__ == "__main__":
    main()
