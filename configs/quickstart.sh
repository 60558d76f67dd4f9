#!/usr/bin/env bash
# The main job from nothing, on Debian 12 (as root, or with sudo): installs packages, builds, fetches
# books, runs the search of quickstart.yaml or goes on with it, prints the table and where the factor
# file is. May be run again at any time.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

bash configs/install.sh
bash configs/build.sh release longrope
echo "== books"
bash data/fetch_books.sh

run=results/quickstart
if [[ -e $run/job.yaml ]]; then
  echo "== search: going on with $run"
  exec .build/release/longrope resume "$run"
fi
# Three books make the fitness, others are held out: as many as could be fetched.
books=$(find data/books -name '*.txt' | wc -l)
held_out=$((books >= 8 ? 5 : books - 3))
echo "== search: configs/quickstart.yaml, results in $run"
exec .build/release/longrope search configs/quickstart.yaml \
  --set "output.folder=$run" --set "stages.extend-2k.held_out=$held_out"
