"""tokenizer.json files in the styles of known models, and hard text to compare tokenizers on.

A style is a function of a vocabulary (or None) that gives the content of a tokenizer.json. Where the real vocabulary
is not at hand, train() makes one of the same style out of books.
"""
import json
import random
import unicodedata

from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + TAIL
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + TAIL
MARK = "\u2581"


def split(pattern, behavior="isolated", invert=False):
    from tokenizers import Regex
    return pre_tokenizers.Split(Regex(pattern), behavior, invert)


def byte_level(use_regex=True, add_prefix_space=False):
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


# name -> (normalizer, pre-tokenizer, special tokens, BOS or None, keywords of the model)
BYTE_STYLES = {
    "gpt2": lambda: (None, byte_level(), ["<|endoftext|>"], None, {}),
    "gpt2-prefix-space": lambda: (None, byte_level(add_prefix_space=True), ["<|endoftext|>"], None, {}),
    "smollm2": lambda: (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()]),
                        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, {}),
    "llama3": lambda: (None, pre_tokenizers.Sequence([split(LLAMA3), byte_level(use_regex=False)]),
                       ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"], "<|begin_of_text|>",
                       {"ignore_merges": True}),
    "qwen2": lambda: (normalizers.NFC(), pre_tokenizers.Sequence([split(QWEN2), byte_level(use_regex=False)]),
                      ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], None, {}),
}


def template(tokenizer, bos):
    tokenizer.post_processor = processors.TemplateProcessing(
        single=[bos, "$A"], pair=[bos, "$A", bos, "$B:1"], special_tokens=[(bos, tokenizer.token_to_id(bos))])


def byte_style(name, vocab=None, merges=None, books=None, size=2000, specials=None):
    """A byte-level tokenizer of a style: of a vocabulary, or trained on files."""
    normalizer, pre_tokenizer, own_specials, bos, keywords = BYTE_STYLES[name]()
    specials = specials or own_specials
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, **keywords))
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizer
    if vocab is None:
        trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False,
                                      initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
        tokenizer.train(books, trainer)
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in specials])
    # A token that is not special, as some models have them (found after the normalizer).
    if vocab is None:
        tokenizer.add_tokens([AddedToken("caf\u00e9", normalized=True), AddedToken(" ####", normalized=False)])
    if bos:
        template(tokenizer, bos)
    return tokenizer


def llama2_style(pieces=None, books=None, size=2000, metaspace=None):
    """The SentencePiece style. pieces: [(piece, score)] with <unk>, <s>, </s> first. metaspace: None for the
    normalizer of LLaMA-2 (Prepend, Replace), else Metaspace's prepend_scheme."""
    if pieces is None:
        alphabet = sorted(set("".join(open(b, encoding="utf-8").read() for b in books)) - set("\r"))
        # As SentencePiece does with a coverage under 1, leave the rare characters to the bytes.
        alphabet = [c for c in alphabet if ord(c) < 0xC0 and c not in " \n\t"]
        trainer = trainers.BpeTrainer(vocab_size=size - 259, special_tokens=[], initial_alphabet=alphabet + [MARK],
                                      limit_alphabet=len(alphabet) + 1, show_progress=False)
        trained = Tokenizer(models.BPE())
        trained.pre_tokenizer = pre_tokenizers.Metaspace(MARK, prepend_scheme="always")
        trained.train(books, trainer)
        data = json.loads(trained.to_str())["model"]
        vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
        for byte in range(256):
            vocab["<0x%02X>" % byte] = len(vocab)
        for piece in sorted(data["vocab"], key=data["vocab"].get):
            vocab[piece] = len(vocab)
        merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in data["merges"]]
    else:
        vocab = {piece: i for i, (piece, _) in enumerate(pieces)}
        merges = merges_of(pieces, vocab)
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    if metaspace:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(MARK, prepend_scheme=metaspace, split=False)
    else:
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(MARK), normalizers.Replace(" ", MARK)])
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in ("<unk>", "<s>", "</s>")])
    if pieces is None:
        tokenizer.add_tokens([AddedToken("<|user|>", rstrip=True, normalized=False),
                              AddedToken("<|left|>", lstrip=True, normalized=False)])
    template(tokenizer, "<s>")
    return tokenizer


def merges_of(pieces, vocab):
    """What merges a SentencePiece model stands for: each piece out of any two, by the piece's score."""
    found = []
    for piece, score in pieces:
        local = [(piece[:i], piece[i:]) for i in range(1, len(piece)) if piece[:i] in vocab and piece[i:] in vocab]
        local.sort(key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
        found += [(score, pair) for pair in local]
    found.sort(key=lambda entry: -entry[0])
    return [pair for _, pair in found]


def tiktoken_merges(ranks):
    """The merges of a tiktoken file, {bytes: rank}, in the alphabet of GPT-2."""
    letters = byte_letters()
    word = lambda token: "".join(letters[b] for b in token)
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) == 1:
            continue
        parts = [bytes([b]) for b in token]
        while len(parts) > 2:
            best = min((ranks.get(parts[i] + parts[i + 1], rank), i) for i in range(len(parts) - 1))
            if best[0] >= rank:
                break
            i = best[1]
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        if len(parts) == 2:
            merges.append((word(parts[0]), word(parts[1])))
    return {word(t): r for t, r in ranks.items()}, merges


def byte_letters():
    printable = list(range(0x21, 0x7F)) + list(range(0xA1, 0xAD)) + list(range(0xAE, 0x100))
    letters, more = {}, 0
    for byte in range(256):
        letters[byte] = chr(byte) if byte in printable else chr(256 + more)
        more += byte not in printable
    return letters


SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u180e\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
SPECIALS = ["<|endoftext|>", "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>",
            "<unk>", "<0x41>", "<|user|>", "<|left|>", " ####", "####"]


def known(point):
    """Whether libraries of different years agree on a code point: assigned up to Unicode 14 (PCRE2 10.42; Python 3.11
    has the same tables), or never to be assigned."""
    assert unicodedata.unidata_version == "14.0.0", "to be run by Python 3.11"
    return 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE or unicodedata.category(chr(point)) not in ("Cn", "Cs")


def torture():
    """Text in which tokenizers go wrong. About 60 kB."""
    lines = []
    # Every block: the first, the third and the last but one of each 128 code points of planes 0 and 1, some of others.
    for start in list(range(0, 0x20000, 0x80)) + [0x20000, 0x2A6D0, 0x2F800, 0x30000, 0xE0000, 0xE0100, 0xF0000, 0x10FF80]:
        points = [p for p in (start, start + 2, start + 0x1C, start + 0x41, start + 0x7E) if known(p)]
        if points:
            lines.append("x" + "".join(chr(p) for p in points) + " " + " ".join(chr(p) for p in points))
    # White space of every kind alone, doubled, before letters, digits, signs and line ends.
    for a in SPACES:
        lines.append("a%sb %s%sc%s%s %s1%s2%s.%s\n%s\r\n%s" % ((a,) * 11))
        lines += ["%s%s" % (a, b) + "w" + a + b + "7" + a + b + "!" for b in SPACES]
    for n in (1, 2, 3, 4, 5, 7, 8, 15, 16, 17, 31, 63, 64, 65, 129, 300):
        lines += [" " * n + "x", "x" + " " * n, "\n" * n + "x", "\t" * n + "y", "\r\n" * n + "z", "9" * n, "a" * n, "-" * n,
                  "\u00a0" * n + "q", " \n" * n + "r", MARK * n + "s", "ab" * n, "\u00e9" * n, "\U0001f600" * n]
    # Contractions in all cases, with either apostrophe, and the letters that fold into theirs.
    for word in ("I", "we", "WE", "\u00e9", "9", "_", ""):
        for tail in ("s", "t", "re", "ve", "m", "ll", "d", "S", "T", "RE", "Ve", "vE", "M", "LL", "lL", "D", "\u017f", "x", "sx"):
            lines.append("%s'%s %s\u2019%s" % (word, tail, word, tail))
    lines += ["%s%s %sa%s  %s\n%s\t%s." % ((s,) * 7) for s in SPECIALS]
    lines += ["x" + "".join(SPECIALS) + " " + " ".join(SPECIALS) + "  \u00a0 ".join(SPECIALS), "<|endoftext|", "<<|endoftext|>>"]
    # Normal forms: composed, decomposed, and orders of marks; Hangul; singletons.
    lines += ["na\u00efve nai\u0308ve cafe\u0301 caf\u00e9 A\u030a \u00c5 \u212b \u1e9b\u0323 q\u0307\u0323 q\u0323\u0307 \u1112\u1161\u11ab \ud55c "
              "\uac00\u11a8 \u2126 \u03a9 \u0958 \u0915\u093c \ufb01 \u01c4 \u0344 \u2adc \u0f73 \u1fee \U0001d15e \u0340\u0341",
              "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324\u031e\u0349\u035a\u032f", "\u0301x", " \u0301"]
    lines += ["\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f3f3\ufe0f\u200d\U0001f308 \U0001f1e9\U0001f1ea\U0001f1eb 1\ufe0f\u20e3 "
              "\u2764\ufe0f \U0001f44d\U0001f3fd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd (abc 123) \u202eoverride\u202c \u0627\u0644\u0633\u064e\u0651\u0644\u064e\u0627\u0645\u064f \u0664\u0665\u0666",
              "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u8aad\u66f8\u304c\u5927\u597d\u304d\u3067\u3059 \u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35 \u0928\u092e\u0938\u094d\u0924\u0947",
              "\u0661\u0662\u0663 \u216b\u2167 \u00bd\u00b2 \u2460\u2474 \uff11\uff12 \u3007\u4e00 1\u0662\uff133",
              "nul\0 in\0\0 \0", "".join(map(chr, range(1, 32))) + "\x7f" + "".join(map(chr, range(0x80, 0xa0))),
              "\ufffd\ufdd0\uffff\U0001fffe\ue123\U0010fffd", "x1y22z333w4444v55555 3.14 1,000,000 0x1F 10:30",
              "printf(\"%s\\n\", x[i]->y); // {a: [1, 2]}\thttps://example.org/a?b=c&d=%20", "snake_case camelCase HTTPServer",
              "thethethethe " * 3 + "Honorificabilitudinitatibus" * 9, "x\u200dy\u200cz\u00adw", "  "]
    return "\n".join(lines)


def fuzz(seed, count):
    """Random texts: code points of all sizes, and letters, spaces and digits in disorder."""
    rng = random.Random(seed)
    pools = ["ab theingSTLL'sdrvm", " \n\r\t\u00a0\u2003", "0123456789\u0661\u00bd", "<|>/s_.,-!#'\"", "\u00e9\u0301\u0308e\u212b\u1100\u1161\u11a8\u01c5\u017f", MARK + "\U0001f600\u4e16\u0928\u094d\0"]
    texts = []
    for _ in range(count):
        text = ""
        for _ in range(rng.randrange(1, 12)):
            kind = rng.randrange(9)
            if kind < 6:
                text += "".join(rng.choice(pools[kind]) for _ in range(rng.randrange(1, 8)))
            elif kind == 6:
                text += rng.choice(SPECIALS)
            else:
                point = rng.randrange(rng.choice([0x80, 0x800, 0x10000, 0x110000]))
                text += chr(point) if known(point) else "\ud7a3"
        texts.append(text)
    return texts
