# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034,SC2154
# Sourced by check-real and cost-real: Debian's source packages, fetched through
# a private configuration made from the machine's own sources, unpacked and built
# by their own build systems. tests/real/NAME.sh says how.
#
# Before: real_name (of the script), src, build, top (where all of it goes).
# For each package: name, work (its directory), tree (the sources, in there).

export LC_ALL=C
unset MAKEFLAGS MAKELEVEL GCX_OPTIONS CFLAGS CPPFLAGS LDFLAGS
real=$src/tests/real
suite_limit=180
# json-c asks calloc() for more than there is: LeakSanitizer alone ends the program
lsan_options=exitcode=0:allocator_may_return_null=1
ulimit -c 0

export REAL_SRC=$src REAL_BUILD=$build
# what a package's file sets
name='' subdir=. patches=yes
export GCX_SYMBOLIZER=$build/tools/gcx-symbolize
export REAL_DIR=$real REAL_COMPILER=$real/cc REAL_CXX_COMPILER=$real/cxx

# ---- results: one line each, from jobs that run side by side

ok()
{
  printf 'ok   %s: %s\n' "$name" "$1"
}

bad()
{
  printf 'FAIL %s: %s\n' "$name" "$1"
  [ -n "${2:-}" ] && [ -e "$2" ] && tail -n "${3:-25}" "$2" | sed 's/^/     /'
  return 1
}

# ---- sources

# Every entry of the machine's own sources for this release, as deb-src.
private_sources()
{
  local codename file
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-stable}")
  for file in /etc/apt/sources.list.d/*.sources; do
    [ -e "$file" ] || continue
    awk -v release="$codename" '
      BEGIN { RS = ""; ORS = "\n\n" }
      { gsub(/(^|\n)#[^\n]*/, ""); sub(/^\n+/, "") }
      $0 ~ "Suites:[^\n]*(" release "|stable)" {
        sub(/Types:[^\n]*/, "Types: deb-src")
        print
      }' "$file"
  done > "$top/apt/etc/sources.list.d/own.sources"
  cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2> /dev/null |
    grep -E "^deb(-src)? .*[ /]($codename|stable)" |
    grep -E "^deb(-src)? (\[[^]]*\] )?[^ ]+ ($codename|stable)" |
    sed -E 's/^deb(-src)? /deb-src /' | sort -u \
    > "$top/apt/etc/sources.list.d/own.list"
  for file in own.sources own.list; do
    [ -s "$top/apt/etc/sources.list.d/$file" ] ||
      rm -f "$top/apt/etc/sources.list.d/$file"
  done
}

prepare_apt()
{
  local try
  mkdir -p "$top/apt/etc/sources.list.d" "$top/apt/lists/partial" \
    "$top/apt/cache/archives/partial" "$top/download"
  private_sources
  cat > "$top/apt/apt.conf" << END
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$top/apt/etc/sources.list.d";
Dir::State::lists "$top/apt/lists";
Dir::Cache "$top/apt/cache";
Acquire::Retries "3";
APT::Sandbox::User "";
END
  export APT_CONFIG=$top/apt/apt.conf
  for try in 1 2 3; do
    apt-get update > "$top/apt/update.log" 2>&1 < /dev/null
    apt-cache showsrc jansson > /dev/null 2>&1 && return 0
    sleep $((try * 5))
  done
  name=apt
  bad 'no source packages from the sources of this machine' "$top/apt/update.log"
}

# The newest version that can be had: a mirror may list one and not have it.
download()
{
  local try version
  compgen -G "$top/download/${name}_*.dsc" > /dev/null && return 0
  for try in 1 2 3; do
    for version in $(apt-cache showsrc "$name" | sed -n 's/^Version: //p' |
      sort -Vru); do
      (cd "$top/download" && timeout 120 apt-get source -q --download-only \
        --only-source "$name=$version") > "$work/download.log" 2>&1 < /dev/null &&
        return 0
      rm -f "$top/download/${name}_${version#*:}"*.dsc
    done
    sleep $((try * 5))
  done
  bad 'could not be fetched' "$work/download.log"
}

unpack()
{
  local options=()
  [ "$patches" = no ] && options=(--skip-patches)
  rm -rf "${work:?}/$tree"
  dpkg-source --no-check "${options[@]}" -x "$top/download/${name}"_*.dsc \
    "$work/$tree" > "$work/unpack.log" 2>&1 || bad unpack "$work/unpack.log"
}

# ---- building and running

# in_tree LOG FUNCTION: of the package's file, in its directory; a suite that
# hangs fails
in_tree()
{
  # shellcheck disable=SC2016
  timeout -k 10 "$suite_limit" bash -c '
    . "$1"
    cd "$2/${subdir:-.}" || exit 1
    "$3"' in_tree "$real/$name.sh" "$work/$tree" "$2" > "$1" 2>&1 < /dev/null
}

# rebuild MODE
rebuild()
{
  export REAL_MODE=$1
  if ! in_tree "$work/build-$1.log" clean ||
    ! in_tree "$work/build-$1.log" build; then
    bad "build: $1" "$work/build-$1.log"
  fi
}

# ---- all

need()
{
  command -v "$1" > /dev/null && return
  echo "$real_name: no $1 (apt-get install $2)"
  [ "${CI:-}" = true ] || exit 77
  name=$1
  bad 'is missing'
  echo '0 passed, 1 failed'
  exit 1
}

need_tools()
{
  need apt-get apt
  need dpkg-source dpkg-dev
  need cmake cmake
  need python3 python3
  need autoreconf autoconf
  need libtoolize libtool
}

# all_packages: their names
all_packages()
{
  local path
  for path in "$real"/*.sh; do
    basename "$path" .sh
  done
}
