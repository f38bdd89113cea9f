# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sourced by the check-* scripts: `fail TEXT` counts, `finish` ends.
# A check takes the tree to look at as its argument (default: its own), and
# with --self-test it shows on made-up trees that it accepts what is right and
# refuses each thing that is wrong.

set -u
export LC_ALL=C
check_name=$(basename "$0")
check_self=$(cd "$(dirname "$0")" && pwd)/$check_name
check_failures=0

fail()
{
  printf '%s: %s\n' "$check_name" "$*" >&2
  check_failures=$((check_failures + 1))
}

finish()
{
  if [ "$check_failures" -ne 0 ]; then
    printf '%s: %d problem(s)\n' "$check_name" "$check_failures" >&2
    exit 1
  fi
  exit 0
}

# need TOOL PACKAGE: without it a failure in CI, elsewhere a named skip (77)
need()
{
  command -v "$1" > /dev/null 2>&1 && return 0
  printf '%s: no %s (apt-get install %s)\n' "$check_name" "$1" "$2" >&2
  [ "${CI:-}" = true ] && exit 1
  exit 77
}

# list_files: what a clone or tarball consists of, one path a line, from $1;
# without git: text files that are in no build directory
list_files()
{
  (
    cd "$1" || exit 1
    if git rev-parse --show-prefix 2> /dev/null | grep -q '^$'; then
      git ls-files
    else
      find . -type d \( -name .git -o -name autom4te.cache -o -name m4 \
        -o -name .deps -o -name .libs -o -name build-aux -o -name coverage \
        -o -exec test -e '{}/config.status' -a '{}' != . ';' \) -prune -o \
        -type f ! -name '*.o' ! -name '*.lo' ! -name '*.la' \
        ! -name Makefile.in ! -name Makefile ! -name aclocal.m4 \
        ! -name configure ! -name 'config.*' ! -name libtool ! -name gcx.pc \
        ! -name '*.log' ! -name '*.trs' -print | sed 's,^\./,,'
    fi | while read -r list_path; do
      if [ -f "$list_path" ] && { [ ! -s "$list_path" ] ||
        grep -Iq . "$list_path"; }; then
        printf '%s\n' "$list_path"
      fi
    done | sort
  )
}

c_files()
{
  list_files "$1" | grep -E '\.(c|h|cc)$'
}

# ---- for the self tests

self_begin()
{
  self_tree=$(mktemp -d)
  trap 'rm -rf "$self_tree"' EXIT
  self_cases=0
}

# put PATH: standard input becomes a file of the made-up tree
put()
{
  mkdir -p "$(dirname "$self_tree/$1")"
  cat > "$self_tree/$1"
}

self_expect()
{
  self_text=$("$check_self" "${@:3}" "$self_tree" 2>&1)
  self_status=$?
  self_cases=$((self_cases + 1))
  if [ "$self_status" -ne "$1" ]; then
    printf '%s: self-test: %s: status %d, not %d\n%s\n' "$check_name" "$2" \
      "$self_status" "$1" "$self_text" >&2
    exit 1
  fi
}

accepts()
{
  self_expect 0 "$@"
}

refuses()
{
  self_expect 1 "$@"
}

self_end()
{
  printf '%s: self-test: %d cases passed\n' "$check_name" "$self_cases"
  exit 0
}
