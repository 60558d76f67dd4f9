#!/usr/bin/env bash
# Installs the Debian packages of packages.txt, and those named as arguments, that are missing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

mapfile -t wanted < <(grep -v '^#' "$here/packages.txt")
missing=()
for package in "${wanted[@]}" "$@"; do
  state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
  [[ $state == ii* ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "== packages: all are installed"
  exit 0
fi
echo "== packages: installing ${missing[*]}"
as_root=()
((EUID == 0)) || as_root=(sudo)
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get -qq -o Acquire::Retries=3 update
"${as_root[@]}" apt-get -qq -o Acquire::Retries=3 install --yes --no-install-recommends \
  "${missing[@]}" >/dev/null
