/* SPDX-License-Identifier: MIT */
/* Run by mujs.sh: each library, exceptions, regular expressions, JSON. */
function demand(condition, what) {
	if (!condition)
		throw new Error("not so: " + what);
}

function Node(value, next) {
	this.value = value;
	this.next = next;
}

var list = null, i, j;
for (i = 0; i < 20000; ++i)
	list = new Node(i, i % 100 ? list : null);
gc(false);

var words = {};
"the quick brown fox jumps over the lazy dog".split(" ").forEach(function (w) {
	words[w] = (words[w] || 0) + 1;
});
demand(words.the === 2, "words");
for (i = 0; i < 1000; ++i) {
	words["key" + i] = { i: i, text: "x" + i };
	if (i % 3 === 0)
		delete words["key" + (i >> 1)];
}
demand(Object.keys(words).length > 500, "keys");

var text = "";
for (i = 0; i < 2000; ++i)
	text += String.fromCharCode(97 + i % 26);
demand(text.replace(/([aeiou])/g, "<$1>").length > 2000, "replace");
demand(/^(\w+)\s(\w+)$/.exec("hello world")[2] === "world", "exec");
demand("a,b;c".split(/[,;]/).join("") === "abc", "split");
demand(text.match(/xyz/g).length > 50, "match");
for (i = 0; i < 200; ++i)
	demand(new RegExp("a{" + (i % 9) + "}b*[c-" + String.fromCharCode(100 + i % 20) + "]").test("aaaaaaaaab" + "cd"), "RegExp");

var object = JSON.parse('{"a":[1,2,{"b":null}],"c":"\\u00e9\\n","d":1.5e3}');
demand(JSON.stringify(object, null, 2).length > 40, "stringify");
demand(JSON.parse(JSON.stringify(object)).a[2].b === null, "parse");

var errors = 0;
function fails(f) {
	try { f(); } catch (e) { errors++; demand(String(e).length > 0, "message"); } finally { errors++; }
}
fails(function () { null.x; });
fails(function () { JSON.parse("{"); });
fails(function () { new RegExp("("); });
fails(function () { eval("var = 1"); });
fails(function () { (function again() { again(); })(); });
fails(function () { throw { code: 1 }; });
demand(errors === 12, "errors");

var sorted = [];
for (i = 0; i < 1000; ++i)
	sorted.push((i * 7919) % 1009);
sorted.sort(function (a, b) { return a - b; });
demand(sorted[0] <= sorted[999], "sort");
demand(sorted.map(function (x) { return x * 2; }).filter(function (x) { return x % 3; }).reduce(function (a, b) { return a + b; }, 0) > 0, "map");
demand(new Date(0).toISOString() === "1970-01-01T00:00:00.000Z", "Date");
demand((255).toString(16) === "ff" && (0.1).toFixed(3) === "0.100", "numbers");
for (i = 0; i < 300; ++i)
	demand(Function("x", "return x + " + i)(1) === i + 1, "Function");
var closures = [];
for (i = 0; i < 500; ++i)
	closures.push((function (n) { return function () { return n++; }; })(i));
demand(closures[10]() === 10 && closures[10]() === 11, "closures");
gc(true);
print("ok");
