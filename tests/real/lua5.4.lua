-- SPDX-License-Identifier: MIT
-- Run by lua5.4.sh: each library, coroutines, the collector, errors.
local function count(n)
  return coroutine.wrap(function()
    for i = 1, n do coroutine.yield(i) end
  end)
end

local sum = 0
for i in count(1000) do sum = sum + i end
assert(sum == 500500)

-- coroutines that never end, and are dropped
for i = 1, 200 do
  local c = coroutine.create(function(x)
    local t <close> = setmetatable({}, { __close = function() end })
    while true do x = x + coroutine.yield(x) end
  end)
  assert(coroutine.resume(c, i))
  if i % 2 == 0 then coroutine.close(c) end
end

-- tables that grow, shrink, and die; weak ones; finalizers
local gone = 0
do
  local weak = setmetatable({}, { __mode = "k" })
  for i = 1, 2000 do
    local key = setmetatable({ i }, { __gc = function() gone = gone + 1 end })
    weak[key] = { string.rep("x", i % 300) }
  end
end
collectgarbage()
collectgarbage()
assert(gone == 2000)
collectgarbage("generational")
local t = {}
for i = 1, 20000 do t[i] = { i, tostring(i) } end
for i = 1, 20000, 2 do t[i] = nil end
collectgarbage("incremental")
collectgarbage()

-- strings, patterns, formats
local parts = {}
for w in ("the quick brown fox jumps over the lazy dog"):gmatch("%a+") do
  parts[#parts + 1] = w:upper():reverse()
end
table.sort(parts)
assert(table.concat(parts, " "):find("GOD"))
assert(("x"):rep(100000):gsub("x", "yz"):len() == 200000)
assert(string.format("%5.2f|%q|%s", 3.14159, "a\nb", {}) ~= nil)
assert(string.unpack("<i4", string.pack("<i4", -7)) == -7)
assert(utf8.len("grün") == 4)

-- code that is made at run time, and code that is wrong
for i = 1, 200 do
  local f = assert(load("local a = ... ; return function(b) return a + b + " .. i .. " end"))
  assert(f(1)(2) == 3 + i)
end
assert(not load("return ="))
assert(not pcall(error, { code = 1 }))
assert(not pcall(function() local x = nil; return x.y end))
assert(not pcall(string.rep, "x", -1, {}))
local ok = xpcall(function() error("deep") end, debug.traceback)
assert(not ok)
local function overflow() return overflow() + 1 end
assert(not pcall(overflow))

-- files
local name = os.tmpname()
local file = assert(io.open(name, "w"))
file:setvbuf("full", 4096)
for i = 1, 1000 do file:write(i, " line\n") end
file:close()
local n = 0
for line in io.lines(name) do n = n + #line end
assert(n > 5000)
local again <close> = assert(io.open(name))
assert(#again:read("a") > 5000)
os.remove(name)
assert(not io.open(name))
local pipe = io.popen("echo hello")
assert(pipe:read("l") == "hello")
pipe:close()
print("ok")
