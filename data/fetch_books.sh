#!/usr/bin/env bash
# Fetches ten long public-domain books, as UTF-8 text, out of Debian 12 packages; nothing is installed.
#
# usage: bash data/fetch_books.sh [OUT_DIR]     OUT_DIR: by default the folder books beside this script
#
# A book that is there with its digest in books.sha256 is kept; when all are, nothing is downloaded. One with
# another digest is fetched anew. A package that is not to be had, or has another text, costs a warning and the book.
# Exit status: 0 when at least 4 books are there at the end, else 1.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=${1:-$here/books}
enough=4

# Book, package, and the place in it: a file, or STEM:OBJECT for an object of an R database.
austen=usr/lib/R/site-library/janeaustenr/data/Rdata
gocode=usr/share/gocode/src/github.com
books=(
  "sense-and-sensibility  r-cran-janeaustenr                $austen:sensesensibility"
  "pride-and-prejudice    r-cran-janeaustenr                $austen:prideprejudice"
  "mansfield-park         r-cran-janeaustenr                $austen:mansfieldpark"
  "emma                   r-cran-janeaustenr                $austen:emma"
  "northanger-abbey       r-cran-janeaustenr                $austen:northangerabbey"
  "persuasion             r-cran-janeaustenr                $austen:persuasion"
  "moby-dick              golang-github-colinmarc-hdfs-dev  $gocode/colinmarc/hdfs/testdata/mobydick.txt"
  "sherlock-holmes        golang-github-pierrec-lz4-dev     $gocode/pierrec/lz4/testdata/pg1661.txt"
  "tom-sawyer             golang-github-pierrec-lz4-dev     $gocode/pierrec/lz4/testdata/Mark.Twain-Tom.Sawyer.txt"
  "opticks                golang-1.19-src                   usr/share/go-1.19/src/testdata/Isaac.Newton-Opticks.txt"
)

warn() { echo "fetch_books.sh: $*" >&2; }

# is_right BOOK FILE: whether FILE is there and has BOOK's digest.
is_right() { [[ -f $2 ]] && grep -qx "$(sha256sum <"$2" | cut -d ' ' -f 1)  $1.txt" "$here/books.sha256"; }

# update_if_bare: fills apt's lists where they are empty, as in a fresh container.
update_if_bare() {
  local as=()
  compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null && return
  ((EUID == 0)) || as=(sudo)
  ${as[@]+"${as[@]}"} apt-get -qq update >/dev/null 2>&1 || warn "apt-get update failed"
}

# unpack PACKAGE: puts its files under $tmp/PACKAGE; a package is tried once.
unpack() {
  local dir=$tmp/$1
  [[ -d $dir ]] && return
  [[ -e $dir.log ]] && return 1
  # As root, apt would else fetch as the user _apt, who may not write into $tmp, and complain of it.
  (cd "$tmp" && apt-get -qq -o APT::Sandbox::User=root download "$1" && dpkg-deb -x "$1"_*.deb "$dir.part") \
    >"$dir.log" 2>&1 && mv "$dir.part" "$dir" && return
  warn "cannot get the package $1 ($(grep -m 1 '^E:' "$dir.log" || echo "see apt-get download $1"))"
  return 1
}

# extract PLACE: prints the text at PLACE as the package has it.
extract() {
  if [[ $1 == *:* ]]; then python3 "$here/read_r_data.py" "${1%:*}" "${1#*:}"; else cat "$1"; fi
}

missing=()
for entry in "${books[@]}"; do
  read -r book package place <<<"$entry"
  is_right "$book" "$out/$book.txt" && continue
  missing+=("$entry")
  [[ -e $out/$book.txt ]] || continue
  warn "$book.txt has not the digest in books.sha256: fetching it anew"
  rm "$out/$book.txt"
done

if ((${#missing[@]})); then
  lacking=
  for tool in python3 apt-get dpkg-deb; do
    command -v "$tool" >/dev/null || lacking+=" $tool"
  done
  if [[ -n $lacking ]]; then
    warn "cannot fetch books without:$lacking"
    missing=()
  else
    mkdir -p "$out"
    tmp=$(mktemp -d)
    trap 'rm -rf "$tmp"' EXIT
    update_if_bare
  fi
fi

for entry in ${missing[@]+"${missing[@]}"}; do
  read -r book package place <<<"$entry"
  unpack "$package" || continue
  if extract "$tmp/$package/$place" 2>"$tmp/log" | python3 "$here/clean_book.py" >"$tmp/$book.txt" 2>>"$tmp/log" &&
    is_right "$book" "$tmp/$book.txt"; then
    # By way of a name that no reader of *.txt takes for a book.
    cp "$tmp/$book.txt" "$out/.$book.$$"
    mv -f "$out/.$book.$$" "$out/$book.txt"
  else
    warn "refused $book.txt: $package has not the text of the digest in books.sha256"
  fi
done

count=0
for entry in "${books[@]}"; do
  read -r book package place <<<"$entry"
  if is_right "$book" "$out/$book.txt"; then ((count += 1)); fi
done
((count >= enough)) || warn "failed: fewer than $enough books are there"
echo "$count of ${#books[@]} books are in $out"
((count >= enough))
