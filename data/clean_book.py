#!/usr/bin/env python3
"""Cleans a book from Project Gutenberg, or made from one: stdin to stdout, UTF-8.

Takes away the byte order mark, CR before LF, the header and licence of Project Gutenberg, the credits and the
transcriber's notes before the text, and blank lines at both ends. Ends with one newline. Text that is not UTF-8
is an error.
"""
import re
import sys

text = sys.stdin.buffer.read().decode("utf-8-sig").replace("\r\n", "\n")
text = re.sub(r"\A.*?^\*\*\* ?START OF TH(IS|E) PROJECT GUTENBERG[^\n]*\n", "", text, flags=re.S | re.M)
text = re.sub(r"^(End of (the )?Project Gutenberg|\*\*\* ?END OF TH(IS|E) PROJECT GUTENBERG).*", "", text, flags=re.S | re.M)
text = re.sub(r"\A\s*Produced by .*?\n\n", "", text, flags=re.S)
# Such a note ends at the next gap of two blank lines.
text = re.sub(r"^(Original )?Transcriber's Notes?:\n.*?(?=\n\n\n)", "", text, count=1, flags=re.S | re.M)
text = re.sub(r"\A(\s*\n)+", "", text).rstrip() + "\n"
sys.stdout.buffer.write(text.encode("utf-8"))
