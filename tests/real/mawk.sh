# SPDX-License-Identifier: MIT
# shellcheck shell=bash disable=SC2034
# mawk: an AWK; blocks of its own that it never gives back, and malloc for the
# large ones. Its script compares the output of many small programs.
configure()
{
  ./configure CC="$REAL_COMPILER" CFLAGS=-O1
}

build()
{
  make mawk
}

clean()
{
  make clean
}

suite()
{
  (cd test && ./mawktest ..) && awk_programs
}

# what its own test leaves out: files, pipes, regular expressions built at run time
awk_programs()
{
  ./mawk -f "$REAL_DIR/mawk.awk" "$REAL_DIR/mawk.awk"
}

# most blocks come from a pool: removing their free() loses nothing
sites_tried=30
free_call='(free|zfree|bmap_free)'
free_files='*.c'
