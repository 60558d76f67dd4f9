"""GGUF files that mean harm."""
import struct

from hostile_case import CONTEXT, EVAL, TEXT, VOCAB, WIDTH, case, u64

U8, U32, I32, F32, BOOL, STRING, ARRAY, U64 = 0, 4, 5, 6, 7, 8, 9, 10


def u32(number):
    return struct.pack("<I", number)


def text(content):
    content = content.encode() if isinstance(content, str) else content
    return [u64(len(content)), content]


def array(kind, count, elements):
    return [u32(ARRAY), u32(kind), u64(count), elements]


def texts(content):
    return array(STRING, len(content), b"".join(b"".join(text(t)) for t in content))


class Gguf:
    """A sound file, to be spoilt: values as lists of pieces, borders lie between all pieces."""

    def __init__(self):
        tokens = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
        number = lambda n: [u32(U32), u32(n)]
        self.keys = [("general.architecture", [u32(STRING)] + text("llama")),
                     ("llama.context_length", number(CONTEXT)),
                     ("llama.block_count", number(1)),
                     ("llama.embedding_length", number(WIDTH)),
                     ("llama.feed_forward_length", number(WIDTH)),
                     ("llama.attention.head_count", number(2)),
                     ("llama.attention.layer_norm_rms_epsilon",
                      [u32(F32), struct.pack("<f", 1e-5)]),
                     ("tokenizer.ggml.model", [u32(STRING)] + text("llama")),
                     ("tokenizer.ggml.tokens", texts(tokens)),
                     ("tokenizer.ggml.scores", array(F32, VOCAB, bytes(4 * VOCAB))),
                     ("tokenizer.ggml.token_type",
                      array(I32, VOCAB, b"".join(map(u32, [2, 3, 3] + [6] * 256))))]
        block = ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]
        # name, sizes (fastest first), type, offset (None: where it stands), data
        self.tensors = [["token_embd.weight", [WIDTH, VOCAB], 0, None, None],
                        ["output_norm.weight", [WIDTH], 0, None, None]]
        for name in ["attn_norm", "ffn_norm"]:
            self.tensors.append(["blk.0.%s.weight" % name, [WIDTH], 0, None, None])
        for name in block:
            self.tensors.append(["blk.0.%s.weight" % name, [WIDTH, WIDTH], 0, None, None])
        self.version, self.key_count, self.tensor_count = u32(3), None, None
        self.alignment, self.dims = 32, {}  # dims: what is written as n_dims, by tensor

    def set(self, key, value):
        self.keys = [k for k in self.keys if k[0] != key] + [(key, value)]
        return self

    def tensor(self, place=-1, **change):
        for field, value in change.items():
            self.tensors[place][["name", "sizes", "type", "offset", "data"].index(field)] = value
        return self

    def more(self, name, sizes, data=b"", kind=0, offset=None):
        self.tensors.append([name, sizes, kind, offset, data])
        return self

    def pieces(self):
        count = lambda given, real: u64(real if given is None else given)
        out = [b"GGUF", self.version, count(self.tensor_count, len(self.tensors)),
               count(self.key_count, len(self.keys))]
        for key, value in self.keys:
            out += text(key) + value
        data = []
        for i, (name, sizes, kind, offset, content) in enumerate(self.tensors):
            elements = 1
            for size in sizes:
                elements *= size
            content = bytes(4 * elements) if content is None else content
            at = sum(map(len, data)) if offset is None else offset
            out += text(name) + [u32(self.dims.get(i, len(sizes)))]
            out += [u64(size) for size in sizes] + [u32(kind), u64(at)]
            data += [content, bytes(-len(content) % self.alignment)]
        return out + [bytes(-sum(map(len, out)) % self.alignment)] + data

    def bytes(self):
        return b"".join(self.pieces())


def gguf(name, file, *words, command=None, outcome="refused"):
    content = file.bytes() if isinstance(file, Gguf) else file
    case("gguf_" + name, command or EVAL % "/x.gguf", words, {"x.gguf": content, "text.txt": TEXT},
         outcome)


def gguf_counts():
    for name, number in [("2^61", 2**61), ("2^64-1", 2**64 - 1), ("2^40", 2**40)]:
        file = Gguf()
        file.key_count = number
        gguf("keys_" + name, file, "x.gguf: byte ", "%d keys; allowed: up to" % number)
        file = Gguf()
        file.tensor_count = number
        gguf("tensors_" + name, file, "x.gguf: byte ", "%d tensors; allowed: up to" % number)
    file = Gguf()
    file.key_count = 65536
    gguf("keys_65536", file, "x.gguf: byte ")
    file = Gguf()
    file.tensor_count = 65536
    gguf("tensors_65536", file, "x.gguf: byte ")
    for version in [0, 1, 4, 0x03000000, 0x02000000]:
        file = Gguf()
        file.version = u32(version)
        swapped = ["big-endian"] if version > 4 else []
        gguf("version_%#x" % version, file, "version %d" % version, "allowed: 2, 3", *swapped)
    gguf("magic", b"GGUf" + Gguf().bytes()[4:], "not a GGUF file")
    gguf("zeros", (b"", 2**40), "not a GGUF file")
    gguf("hole", (Gguf().bytes()[:24], 2**40), "x.gguf: byte ")


def gguf_values():
    for name, length in [("2^64-1", 2**64 - 1), ("2^63", 2**63), ("2^32", 2**32)]:
        head = [u32(STRING), u64(length), b"x"]
        gguf("text_" + name, Gguf().set("general.name", head), "byte ", "%d" % length, "bytes left")
        file = Gguf()
        file.key_count = 1
        file.keys = []
        start = b"".join(file.pieces()[:4])
        gguf("key_" + name, start + u64(length) + b"x", "byte ", "%d" % length, "bytes left")
        head = array(STRING, 1, u64(length))
        gguf("text_in_array_" + name, Gguf().set("general.tags", head), "%d" % length)
        head = array(F32, length, b"")
        gguf("array_" + name, Gguf().set("general.x", head), "%d elements; allowed" % length)
    gguf("array_2^21", Gguf().set("general.x", array(U64, 2**21, b"")), "does not fit")
    gguf("array_of_texts_2^21", Gguf().set("general.x", array(STRING, 2**21, b"")), "byte ")
    nested = array(ARRAY, 1, b"".join([u32(U8), u64(1), b"x"]))
    gguf("nested_array", Gguf().set("general.x", nested), "an array of arrays")
    gguf("deep_array", Gguf().set("general.x", [u32(ARRAY)] + [u32(ARRAY) + u64(1)] * 100000),
         "an array of arrays")
    gguf("element_type_255", Gguf().set("general.x", array(255, 1, b"xxxx")), "value type 255")
    gguf("value_type_13", Gguf().set("general.x", [u32(13), b"xxxx"]), "value type 13; allowed")
    gguf("flag_of_2", Gguf().set("general.x", [u32(BOOL), b"\2"]), "a flag of 2; allowed: 0, 1")
    gguf("empty_key", Gguf().set("", [u32(U8), b"x"]), "a key of 0 bytes")
    gguf("long_key", Gguf().set("k" * 65536, [u32(U8), b"x"]), "a key of 65536 bytes")
    twice = Gguf()
    twice.keys.append(twice.keys[1])
    gguf("key_twice", twice, "llama.context_length", "stands twice")
    for number in [0, 3, 2**31]:
        gguf("alignment_%d" % number, Gguf().set("general.alignment", [u32(U32), u32(number)]),
             "general.alignment: %d; allowed" % number)
    gguf("alignment_text", Gguf().set("general.alignment", [u32(STRING)] + text("32")),
         "general.alignment", "whole number")
    for number in [0, 513, 2**31]:
        gguf("block_count_%d" % number, Gguf().set("llama.block_count", [u32(U32), u32(number)]),
             "llama.block_count: %d; allowed" % number)
    gguf("block_count_2^64-1", Gguf().set("llama.block_count", [u32(U64), u64(2**64 - 1)]),
         "llama.block_count: above 2^63")
    gguf("block_count_512", Gguf().set("llama.block_count", [u32(U32), u32(512)]),
         "tensor blk.1.", "is missing")
    for key in ["embedding_length", "feed_forward_length", "attention.head_count"]:
        for number in [0, 2**32 - 1]:
            gguf("%s_%d" % (key.split(".")[-1], number),
                 Gguf().set("llama." + key, [u32(U32), u32(number)]),
                 "llama.%s: %d; allowed" % (key, number))
    for name, number in [("nan", float("nan")), ("inf", float("inf")), ("negative", -1.0)]:
        gguf("epsilon_" + name, Gguf().set("llama.attention.layer_norm_rms_epsilon",
                                           [u32(F32), struct.pack("<f", number)]), "rms_epsilon")


def gguf_vocabulary():
    key = "tokenizer.ggml."
    gguf("tokens_as_numbers", Gguf().set(key + "tokens", array(I32, VOCAB, bytes(4 * VOCAB))),
         key + "tokens: expected an array of texts")
    gguf("tokens_as_text", Gguf().set(key + "tokens", [u32(STRING)] + text("a")),
         key + "tokens: expected an array of values")
    gguf("scores_as_texts", Gguf().set(key + "scores", texts(["0"] * VOCAB)),
         key + "scores: expected an array of float32")
    gguf("types_as_floats", Gguf().set(key + "token_type", array(F32, VOCAB, bytes(4 * VOCAB))),
         key + "token_type: expected an array of whole numbers")
    gguf("types_unknown", Gguf().set(key + "token_type", array(I32, VOCAB, b"\xff" * 4 * VOCAB)),
         key + "token_type: element 0 is -1")
    gguf("too_few_scores", Gguf().set(key + "scores", array(F32, 1, bytes(4))),
         key + "scores: 1 elements for 259 tokens")
    gguf("scores_nan", Gguf().set(key + "scores", array(F32, VOCAB, b"\xff" * 4 * VOCAB)),
         key + "scores: element 0 is not a number")
    names = ["<unk>", "<s>", "</s>"] + ["<0x%02X>" % i for i in range(256)]
    for name, token in [("minus", "<0x-1>"), ("zz", "<0xZZ>"), ("short", "<0x1>"), ("empty", ""),
                        ("long", "<0x" + "0" * 100000 + ">")]:
        gguf("byte_token_" + name, Gguf().set(key + "tokens", texts(names[:5] + [token] +
                                                                    names[6:])),
             key + "tokens: element 5:", "of type byte; allowed: <0x00> to <0xFF>")
    gguf("tokens_twice", Gguf().set(key + "tokens", texts(names[:6] + names[5:6] + names[7:])),
         key + "tokens: element 6", "already")
    gguf("tokens_not_utf8", Gguf().set(key + "tokens", texts([b"\xc0\x80"] + names[1:])),
         key + "tokens: element 0: is not UTF-8")
    gguf("more_tokens_than_embeddings", Gguf().set(key + "tokens", texts(names + ["a"])),
         key + "tokens: 260 tokens; the model has 259")
    long_piece = Gguf().set(key + "tokens", texts(names[:-1] + ["a" * 100000]))
    long_piece.set(key + "token_type", array(I32, VOCAB, b"".join(map(u32, [2, 3, 3] + [6] * 255 +
                                                                      [1]))))
    gguf("piece_of_100000", long_piece, "100000 bytes; allowed: up to 512")
    gguf("unknown_vocabulary", Gguf().set(key + "model", [u32(STRING)] + text("bert")), "'bert'")
    gguf("bos_beyond", Gguf().set(key + "bos_token_id", [u32(U32), u32(VOCAB)]), "bos_token_id")
    gpt2 = Gguf().set(key + "model", [u32(STRING)] + text("gpt2"))
    gguf("merge_of_nothing", gpt2.set(key + "merges", texts(["a b"])), key + "merges: element 0")


def gguf_tensors():
    for count in [0, 5, 2**32 - 1]:
        file = Gguf()
        file.dims[0] = count
        gguf("dims_%d" % count, file, "tensor token_embd.weight has %d dimensions" % count)
    for name, sizes in [("product", [2**32, 2**32]), ("product_4", [2**16] * 4),
                        ("2^64-1", [2**64 - 1]), ("2^63", [2**63]), ("bytes", [2**62]),
                        ("bytes_2", [2**31, 2**31]), ("before_zero", [2**40, 2**40, 0])]:
        gguf("size_" + name, Gguf().more("x", sizes), "tensor x is too large")
    # Each fits in 64 bits, and so does what is read of them; only the sum would not.
    wraps = Gguf().set("general.alignment", [u32(U32), u32(2**20)])
    wraps.alignment = 2**20
    wraps.tensors = []
    for i, offset in enumerate([0, 2**63, 0, 2**63]):
        wraps.more("t%d" % i, [2**61 - 1], offset=offset)
    gguf("padded_sum", (b"".join(wraps.pieces()), 0), "tensor t0 of", "ends beyond the file")
    sizes = [16, 2**57 - 1]
    gguf("padded_sum_of_many", Gguf().more("x", sizes).more("y", sizes), "ends beyond the file")
    zero = Gguf().more("x", [0]).more("y", [4, 0, 2])
    gguf("zero_dimension", zero, outcome="loads", command="tokenize --model {path}/x.gguf "
         "{path}/text.txt")
    gguf("zero_dimension_known", Gguf().tensor(0, sizes=[WIDTH, 0]), "token_embd.weight is no mat")
    whole = Gguf().bytes()
    gguf("sound", whole, outcome="loads")
    gguf("one_byte_short", whole[:-1], "blk.0.ffn_down.weight", "ends beyond the file", "cut off")
    gguf("offset_off_by_one", Gguf().tensor(1, offset=1), "data offset 1, expected")
    gguf("offset_2^64-1", Gguf().tensor(1, offset=2**64 - 1), "data offset 18446744073709551615")
    gguf("offset_overlap", Gguf().tensor(1, offset=0), "data offset 0, expected")
    gguf("tensor_twice", Gguf().more("output_norm.weight", [1], bytes(4)), "stands twice")
    gguf("tensor_unnamed", Gguf().more("", [1], bytes(4)), "a tensor's name; allowed")
    gguf("tensor_name_of_65", Gguf().more("n" * 65, [1], bytes(4)), "a tensor's name; allowed")
    gguf("tensor_missing", Gguf().tensor(1, name="x"), "output_norm.weight is missing")
    for kind in [4, 5, 9, 24, 40, 255, 2**32 - 1]:
        gguf("type_%d" % kind, Gguf().tensor(0, type=kind),
             "tensor token_embd.weight is of type", "allowed: f32, f16")
    for name, kind, size in [("q4_0", 2, 16), ("q8_0", 8, 33), ("q6_k", 14, 255), ("q4_k", 12, 32)]:
        gguf("rows_" + name, Gguf().tensor(0, type=kind, sizes=[size, VOCAB]),
             "rows of %d elements" % size, "whole blocks", name)
    for name, bits in [("nan", b"\0\0\xc0\x7f"), ("infinite", b"\0\0\x80\xff")]:
        spoilt = bytes(4 * WIDTH - 4) + bits
        gguf(name + "_weight", Gguf().tensor(1, data=spoilt),
             "tensor output_norm.weight, element 7", "not finite",
             command=EVAL % "/x.gguf" + " --json")


def gguf_cut():
    at = 0
    pieces = Gguf().pieces()
    for piece in pieces[:-1]:
        if piece:
            gguf("cut_at_%d" % at, b"".join(pieces)[:at], "x.gguf")
        at += len(piece)


WRITERS = [gguf_counts, gguf_values, gguf_vocabulary, gguf_tensors, gguf_cut]
