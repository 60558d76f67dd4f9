#!/usr/bin/env python3
"""Files that mean harm, or look like it: GGUF, safetensors, tokenizers, JSON lines and jobs.

usage: hostile_files.py FOLDER
Writes a folder per case, and FOLDER/cases.tsv, a line per case:
  name <tab> arguments of longrope <tab> words of its one line, between bars <tab> refused or loads
{path} in the arguments is the case's folder, FOLDER/<name>. A name begins with its family.
Nothing is over 1 MB on disk; what must look large has holes.
"""
import gzip, json, os, sys

sys.dont_write_bytecode = True  # the repository is not written to
import hostile_gguf
from hostile_case import CONTEXT, EVAL, ROOT, TEXT, VOCAB, WIDTH, case, lines, u64


# ---- safetensors, beside a tokenizer.json

def config():
    return json.dumps({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": WIDTH,
        "intermediate_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": CONTEXT, "rms_norm_eps": 1e-5, "tie_word_embeddings": True})


def sound_tokenizer():
    vocab = {"<unk>": 0, "<s>": 1, "</s>": 2}
    vocab.update({"<0x%02X>" % i: 3 + i for i in range(256)})
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None,
            "model": {"type": "BPE", "unk_token": "<unk>", "byte_fallback": True, "vocab": vocab,
                      "merges": []}}


def sound_header():
    sizes = {"model.embed_tokens": [VOCAB, WIDTH], "model.norm": [WIDTH]}
    layer = "model.layers.0."
    for name in ["input_layernorm", "post_attention_layernorm"]:
        sizes[layer + name] = [WIDTH]
    for name in ["self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o", "mlp.gate", "mlp.up",
                 "mlp.down"]:
        sizes[layer + name + "_proj"] = [WIDTH, WIDTH]
    header, at = {}, 0
    for name, shape in sizes.items():
        count = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name + ".weight"] = {"dtype": "BF16", "shape": shape,
                                    "data_offsets": [at, at + count]}
        at += count
    return header, at


def stored(header, data):
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return u64(len(head)) + head + data


def model_folder(tokenizer=None, weights=None):
    header, size = sound_header()
    tokenizer = sound_tokenizer() if tokenizer is None else tokenizer
    return {"config.json": config(), "text.txt": TEXT,
            "model.safetensors": stored(header, bytes(size)) if weights is None else weights,
            "tokenizer.json": json.dumps(tokenizer) if isinstance(tokenizer, dict) else tokenizer}


def safetensors(name, weights, *words, outcome="refused"):
    case("safetensors_" + name, EVAL % "" + " --json", words, model_folder(weights=weights),
         outcome)


def safetensors_headers():
    file = "model.safetensors"
    header, size = sound_header()
    sound = stored(header, bytes(size))
    for name, length in [("2^64-1", 2**64 - 1), ("2^63", 2**63), ("100MB", 100 * 10**6 + 1),
                         ("over_file", len(sound) - 7), ("2^32", 2**32)]:
        safetensors("length_" + name, (u64(length) + sound[8:]), file, "header of %d" % length)
    safetensors("length_100MB_of_1TB", (u64(100 * 10**6 + 1) + sound[8:], 2**40),
                file, "header of 100000001")
    safetensors("length_99MB_of_zeros", (u64(99 * 10**6), 2**30), file, "NUL at byte 0")
    safetensors("length_99MB_zeros_behind", (u64(99 * 10**6) + sound[8:], 2**30), file, "NUL")
    safetensors("length_0", u64(0), file, "not valid JSON")
    end = len(sound) - size
    for at in [0, 1, 7, 8, 9, 8 + 500, end - 1, end]:
        safetensors("cut_at_%d" % at, sound[:at], file)
    for entry in list(header.values())[:-1]:
        at = end + entry["data_offsets"][1]
        safetensors("cut_at_%d" % at, sound[:at], file, "cut off")
    safetensors("one_byte_short", sound[:-1], file, "cut off")
    safetensors("one_byte_more", sound + b"\0", file, "1 bytes after the last tensor")
    for name, head in [("list", b"[]"), ("number", b"1"), ("null", b"null"), ("garbage", b"\xff"),
                       ("two", b"{}{}"), ("open", b'{"a":'), ("empty", b""),
                       ("deep", b'{"a":' * 100000), ("deep_lists", b"[" * 100000),
                       ("nul", json.dumps(header).encode() + b"\0"),
                       ("lone_surrogate", b'{"\\ud800": 1}'), ("not_utf8", b'{"\xc0\x80": 1}'),
                       ("entry_is_text", b'{"a": "b"}'), ("entry_is_list", b'{"a": [1]}')]:
        safetensors("header_" + name, stored(head, bytes(size)), file)
    head = json.dumps(header).encode()
    twice = head[:-1] + b', "model.norm.weight": {"dtype": "BF16"}}'
    safetensors("name_twice", stored(twice, bytes(size)), "model.norm.weight", "stands twice")
    in_entry = head.replace(b'"dtype"', b'"dtype": "F32", "dtype"', 1)
    safetensors("key_twice", stored(in_entry, bytes(size)), "dtype", "stands twice")


def spoilt_header(name, **change):
    header, size = sound_header()
    header[name] = dict(header[name], **change)
    return stored(header, bytes(size))


def safetensors_tensors():
    name = "model.norm.weight"
    at = 2 * VOCAB * WIDTH
    for title, offsets in [("overlap", [at - 16, at]), ("hole", [at + 16, at + 32])]:
        safetensors(title, spoilt_header(name, data_offsets=offsets), "overlap or leave a hole")
    for title, offsets in [("beyond", [10**6, 10**6 + 16]), ("swapped", [at + 16, at]),
                           ("one", [at]), ("three", [at, at + 16, at + 32]), ("none", []),
                           ("2^63", [2**63 - 17, 2**63 - 1]), ("negative", [-16, 0]),
                           ("float", [float(at), at + 16.0]), ("text", "0"), ("null", None),
                           ("2^64", [at, 2**64]), ("nested", [[at], at + 16])]:
        safetensors("offsets_" + title, spoilt_header(name, data_offsets=offsets),
                    name + ": data_offsets")
    for title, shape in [("short", [WIDTH - 1]), ("long", [WIDTH + 1]), ("scalar", []),
                         ("zero", [0]), ("matrix", [WIDTH, WIDTH])]:
        safetensors("shape_" + title, spoilt_header(name, shape=shape), name + ": data_offsets",
                    "the shape needs")
    for title, shape in [("negative", [-8]), ("float", [8.0]), ("huge", [1e308]), ("2^63", [2**63]),
                         ("2^64", [2**64]), ("text", ["8"]), ("null", None), ("object", {}),
                         ("wraps", [2**32, 2**32]), ("wraps_to_16", [2**61 + 1, 8]),
                         ("before_zero", [2**62, 2**62, 0])]:
        safetensors("shape_" + title, spoilt_header(name, shape=shape), name + ": shape")
    safetensors("shape_of_100000", spoilt_header(name, shape=[1] * 100000), name)
    for title, dtype in [("f4", "F4"), ("empty", ""), ("lower", "bf16"), ("null", None),
                         ("number", 3), ("long", "X" * 100000)]:
        safetensors("dtype_" + title, spoilt_header(name, dtype=dtype), name + ": dtype")
    header, size = sound_header()
    for title, tensor in [("line_ends", "a\n\r\nlongrope: b"), ("escape_codes", "\x1b[31m\x7f"),
                          ("100000", "\u00e9" * 100000)]:
        entry = {"dtype": "F4", "shape": [], "data_offsets": [0, 0]}
        safetensors("name_of_" + title, stored(dict(header, **{tensor: entry}), bytes(size)),
                    "dtype: 'F4' is not known")
    safetensors("dtype_not_computed", spoilt_header(name, dtype="I16"), name, "of type I16")
    header, size = sound_header()
    header["scalar"] = {"dtype": "F32", "shape": [], "data_offsets": [size, size + 4]}
    header["nothing"] = {"dtype": "F64", "shape": [3, 0], "data_offsets": [size, size]}
    safetensors("scalar_and_nothing", stored(header, bytes(size + 4)), outcome="loads")
    safetensors("sound", None, outcome="loads")
    header, size = sound_header()
    for title, bits in [("nan", b"\xc0\x7f"), ("infinite", b"\x80\xff")]:
        data = bytes(at + 14) + bits + bytes(size - at - 16)
        safetensors(title + "_weight", stored(header, data), "tensor " + name + ", element 7",
                    "not finite")


# ---- tokenizers

def tokenizer(name, content, *words, outcome="refused", command=EVAL % ""):
    content = model_folder(tokenizer=content)
    case("tokenizer_json_" + name, command, words, content, outcome)


def tokenizer_texts():
    sound = json.dumps(sound_tokenizer())
    for name, content, why in [("deep_lists", "[" * 10**5, "expected a JSON object"),
                               ("deep_objects", '{"a":' * 10**5, "a: unknown key"),
                               ("deep_normalizer", '{"normalizer":' * 10**5,
                                "nested deeper than 64")]:
        tokenizer(name, content, "tokenizer.json", why)
    steps = '{"type": "Sequence", "normalizers": [' * 10**5
    tokenizer("deep_sequences", '{"normalizer": ' + steps, "nested deeper than 64")
    for name, content in [("empty", ""), ("cut_off", sound[:len(sound) // 2]), ("two", sound * 2),
                          ("garbage", b"\x80\x81\x82\x83"), ("trailing_comma", sound[:-1] + ",}"),
                          ("nan", sound.replace('"<s>": 1', '"<s>": NaN')),
                          ("lone_surrogate", sound.replace('"<s>"', '"\\ud800"')),
                          ("second_surrogate", sound.replace('"<s>"', '"\\udc00"')),
                          ("half_a_pair", sound.replace('"<s>"', '"\\ud83dx"')),
                          ("not_utf8", sound.encode().replace(b'"<s>"', b'"\xff"')),
                          ("overlong", sound.encode().replace(b'"<s>"', b'"\xc0\x80"')),
                          ("utf16", sound.encode("utf-16")), ("nul", sound + "\0"),
                          ("nul_inside", sound.replace("<s>", "<\0>")),
                          ("control", sound.replace("<s>", "<\x01>")),
                          ("newline_in_text", sound.replace("<s>", "<\n>")),
                          ("open_text", '{"' + "a" * 10**5), ("long_number", "1" * 10**5)]:
        tokenizer(name, content, "tokenizer.json")
    tokenizer("zeros", (b"", 60 * 2**20), "tokenizer.json", "NUL at byte 0")
    tokenizer("zeros_1TB", (b"", 2**40), "tokenizer.json", "bytes")
    for name, content in [("list", "[]"), ("null", "null"), ("text", '"x"'), ("true", "true")]:
        tokenizer(name, content, "tokenizer.json: expected a JSON object")
    tokenizer("byte_order_mark", b"\xef\xbb\xbf" + sound.encode(), outcome="loads")
    tokenizer("sound", sound, outcome="loads")
    tokenizer("carriage_returns", sound.replace(", ", ",\r\n"), outcome="loads")


def tokenizer_parts():
    def spoilt(name, *words, outcome="refused", top=None, **model):
        content = sound_tokenizer()
        content["model"].update(model)
        content.update(top or {})
        tokenizer(name, content, *words, outcome=outcome)

    ids = sound_tokenizer()["model"]["vocab"]
    for name, number in [("negative", -1), ("over", VOCAB), ("2^31", 2**31), ("2^32", 2**32 + 1),
                         ("2^63", 2**63), ("2^64", 2**64), ("float", 1.0), ("huge", 1e300),
                         ("text", "1"), ("null", None), ("list", [1])]:
        spoilt("id_" + name, "'<s>' has id", "allowed: whole numbers from 0 to 258",
               vocab=dict(ids, **{"<s>": number}))
    spoilt("id_twice", "both have id 2", vocab=dict(ids, **{"<s>": 2}))
    gaps = {token: number for token, number in ids.items() if token not in ("<s>", "</s>")}
    spoilt("id_gaps", outcome="loads", vocab=gaps)
    for name, value in [("list", []), ("null", None), ("text", "x"), ("empty", {})]:
        spoilt("vocab_" + name, "tokenizer.json: model: ", vocab=value)
    for name, value in [("absent", ["a b"]), ("absent_pair", [["a", "b"]]), ("one", ["a"]),
                        ("three", ["a b c"]), ("empty", [""]), ("spaces", ["  "]),
                        ("number", [1]), ("null", None), ("object", {}), ("pair_of_one", [["a"]]),
                        ("pair_of_numbers", [[1, 2]]), ("product", ["<s> </s>"]),
                        ("nested", [[["a"], "b"]])]:
        spoilt("merges_" + name, "tokenizer.json: model: merges", merges=value)
    for part in ["normalizer", "pre_tokenizer", "post_processor", "model"]:
        for name, value in [("unknown", {"type": "Bogus"}), ("untyped", {"type": 5}),
                            ("list", []), ("text", "x")]:
            spoilt("%s_%s" % (part, name), "tokenizer.json: " + part, top={part: value})
    spoilt("unknown_key", "bogus: unknown key", top={"bogus": 1})
    spoilt("unk_absent", "unk_token: 'x' is not in vocab", unk_token="x")
    spoilt("dropout", "dropout", dropout=0.1)
    split = lambda pattern: {"pre_tokenizer": {"type": "Split", "pattern": pattern,
                                               "behavior": "Isolated", "invert": False}}
    for name, pattern in [("open", "("), ("repeat", "a{99999}"), ("deep", "(" * 10**5),
                          ("nul", "\0["), ("look_back", "(?<=a*)b")]:
        spoilt("regex_" + name, "pattern: Regex", top=split({"Regex": pattern}))
    spoilt("split_of_nothing", "pattern: String", top=split({"String": ""}))
    for name, token in [("id_negative", {"id": -1, "content": "x"}), ("id_over", {"id": VOCAB,
                        "content": "x"}), ("id_2^64", {"id": 2**64, "content": "x"}),
                        ("id_missing", {"content": "x"}), ("id_taken", {"id": 1, "content": "x"}),
                        ("empty", {"id": 1, "content": ""}), ("text", "x"), ("null", None),
                        ("other_id", {"id": 2, "content": "<s>"})]:
        spoilt("added_" + name, "added_tokens: entry 0", top={"added_tokens": [token]})


def tokenizer_models():
    def model(name, content, *words):
        files = model_folder()
        del files["tokenizer.json"]
        files["tokenizer.model"] = content
        case("tokenizer_model_" + name, EVAL % "", ("tokenizer.model",) + words, files)

    piece = lambda content: b"\x0a" + bytes([len(content)]) + content
    unk = piece(b"\x0a\x05<unk>\x18\x02")
    no = "is not a SentencePiece model"
    for name, content in [("empty", b""), ("garbage", b"\xff" * 1000), ("text", b"hello\n"),
                          ("json", json.dumps(sound_tokenizer()).encode()),
                          ("gguf", hostile_gguf.Gguf().bytes()), ("cut_off", unk[:-3]),
                          ("length_2^64-1", b"\x0a" + b"\xff" * 9 + b"\x01"),
                          ("length_2^31", b"\x0a\x80\x80\x80\x80\x08x"),
                          ("endless_number", b"\x0a" + b"\xff" * 100),
                          ("deep_groups", b"\x0b" * 10**5), ("no_unk", piece(b"\x0a\x01a")),
                          ("unk_twice", unk + piece(b"\x0a\x05<unk>\x18\x02")),
                          ("piece_twice", unk + 2 * piece(b"\x0a\x01a")),
                          ("piece_empty", unk + piece(b"\x0a\x00")),
                          ("piece_unnamed", unk + piece(b"")),
                          ("zeros", (b"", 1 << 20))]:
        model(name, content, no)
    model("zeros_1TB", (b"", 2**40), "bytes")
    model("no_bos", unk + piece(b"\x0a\x01a"), "has no BOS piece")
    many = b"".join(piece(b"\x0a\x03" + b"%03d" % i) for i in range(VOCAB))
    model("too_many", unk + many, "has 260 pieces", "259")


# ---- JSON lines and jobs

def search_cases():
    model = os.path.join(ROOT, "tokenizer_json_sound")

    def search(name, words, job=None, texts=TEXT * 20, file="texts.txt"):
        folder = os.path.join(ROOT, name)
        sound = ("seed: 5\nmodel: {path: %s}\ndata: {path: %s, cache: none}\n"
                 "output: {folder: %s/run}\n"
                 "stages:\n  - {name: a, kind: search, length: 128, documents: 1, held_out: 1, "
                 "population: 4, generations: 1, mutations: 1, crossovers: 1, parents: 2}\n" %
                 (model, os.path.join(folder, file), folder))
        case(name, "search {path}/job.yaml", words, {"job.yaml": job(sound) if job else sound,
                                                     file: texts})

    good = json.dumps({"text": TEXT * 2})
    for name, bad in [("deep_lists", '{"text": ' + "[" * 10**5), ("deep_objects", '{"a":' * 10**5),
                      ("lone_surrogate", '{"text": "\\ud800"}'), ("nul", '{"text": "a\0b"}'),
                      ("escaped_nul_key", '{"te\\u0000xt": "a"}'),
                      ("not_utf8", b'{"text": "\xff"}'),
                      ("byte_order_mark_inside", '\ufeff{"text": 5}'), ("cut_off", '{"text": "a'),
                      ("no_text", '{"txt": "a"}'), ("number", '{"text": 1}'), ("list", "[]"),
                      ("text_twice", '{"text": "a", "text": "b"}'), ("two", good + good)]:
        bad = bad if isinstance(bad, bytes) else bad.encode()
        content = 3 * (bad + b"\r\n")  # whichever is drawn
        search("jsonl_" + name, ["texts.jsonl:"], texts=content, file="texts.jsonl")
        packed = gzip.compress(content, mtime=0)
        search("jsonl_packed_" + name, ["texts.jsonl.gz:"], texts=packed, file="texts.jsonl.gz")
    lines_with_hole = ((good + "\n").encode(), 2**26)
    search("jsonl_hole", ["texts.jsonl:2"], texts=lines_with_hole, file="texts.jsonl")
    bomb = gzip.compress(b"\0" * 10**8, 1, mtime=0)
    search("jsonl_packed_zeros", ["texts.jsonl.gz:1: holds a NUL"], texts=bomb,
           file="texts.jsonl.gz")
    for name, word, spoil in [
            ("deep", "job.yaml:1", lambda sound: "a: " + "[" * 20000),
            ("deep_maps", "job.yaml", lambda sound: "{a: " * 10000),
            ("anchor", "job.yaml:1", lambda sound: sound.replace("5", "&a 5", 1)),
            ("bomb", "job.yaml:1", lambda sound: "a: &a [x, x]\n" + "".join(
                "b%d: &b%d [*a, *a]\n" % (i, i) for i in range(1000))),
            ("tag", "job.yaml:1", lambda sound: sound.replace("5", "!!python/object 5", 1)),
            ("octal", "leading zero", lambda sound: sound.replace("5", "0o17", 1)),
            ("over_64KiB", "65536", lambda sound: sound + "# " + "x" * 65536),
            ("hole", "65536", lambda sound: (sound.encode(), 2**40)),
            ("nul", "job.yaml", lambda sound: sound + "\0"),
            ("not_utf8", "job.yaml", lambda sound: sound.encode() + b"\xff"),
            ("two_documents", "job.yaml", lambda sound: sound + "---\n" + sound),
            ("a_list", "job.yaml", lambda sound: "[]"), ("empty", "job.yaml", lambda sound: ""),
            ("garbage", "job.yaml", lambda sound: b"\x80" * 1000),
            ("merge_key", "job.yaml", lambda sound: sound + "<<: {seed: 1}\n")]:
        search("yaml_" + name, [word], job=spoil)


for write in hostile_gguf.WRITERS + [
        safetensors_headers, safetensors_tensors, tokenizer_texts, tokenizer_parts,
        tokenizer_models, search_cases]:
    write()
with open(os.path.join(ROOT, "cases.tsv"), "w") as out:
    out.write("".join(line + "\n" for line in lines))
