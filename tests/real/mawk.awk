# SPDX-License-Identifier: MIT
# Run by mawk.sh on itself: what mawk's own test leaves out.
function fill(table, n,    i) {
  for (i = 1; i <= n; i++) table[i, n - i] = sprintf("%d:%s", i, substr($0, 1, i))
  return length(table)
}

function deep(n) {
  return n == 0 ? 0 : 1 + deep(n - 1)
}

function fail(what) {
  print "not so:", what
  exit 1
}

BEGIN {
  command = "printf 'c\\nb\\na\\n'"
  while ((command | getline line) > 0) seen = seen line
  close(command)
  if (seen != "cba") fail(1)
  out = "sort > /dev/null"
  for (i = 0; i < 100; i++) print 100 - i | out
  close(out)
  print "to a file" > "/dev/null"
  close("/dev/null")
  system("")
}

{
  words += NF
  pattern = "^" substr($1, 1, 1) "?[a-z]*"
  gsub(/[.*+?\[\]()^$\\{}|\/]/, "", pattern)
  if ($0 ~ pattern) matched++
  n = split($0, part, /[ ,;]+/)
  for (i = n; i > 0; i--) $i = toupper(part[i])
  copy = $0
  gsub(/[A-Z]+/, "<&>", copy)
  sub(/<.*>/, "&&", copy)
  big = big copy
  NF = 2
}

END {
  if (fill(table, 200) != 200) fail(2)
  for (key in table) {
    split(key, index_, SUBSEP)
    if (index_[1] % 2) delete table[key]
  }
  delete table
  if (deep(500) != 500 || match(big, /<[A-Z]+>.*</) == 0) fail(3)
  for (i = 0; i < 5000; i++) long = long "0123456789"
  if (length(long) != 50000) fail(4)
  RS = ""
  if ((getline record < FILENAME) != 1) fail(5)
  close(FILENAME)
  printf "%d words, %s\n", words, (matched > 0 ? "matched" : "none")
}
