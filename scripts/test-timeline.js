// SPDX-License-Identifier: GPL-2.0
// What test-timeline does with the page that it is appended to, and looks for there.
"use strict";
(() => {
const told = [];
const drawn = (kind) => svg.querySelectorAll("." + kind).length;
const box = svg.getBoundingClientRect();
const scale = box.width / width;

function expect(holds, text) {
	if (!holds) told.push("failed: " + text);
}

/* An event of the mouse there, in the picture's own coordinates. */
function mouse(kind, type, px, py, more) {
	svg.dispatchEvent(new kind(type, { clientX: box.left + px * scale, clientY: box.top + py * scale,
		bubbles: true, cancelable: true, ...more }));
}

/* What is said of a place. */
function tip(px, py) {
	mouse(PointerEvent, "pointermove", px, py);
	return $("tip").style.display === "block" ? $("tip").textContent : "";
}

const refused = data.bonds.findIndex((bond) => bond.refusals.length);
const exits = data.bonds.filter((bond) => bond.exit !== null);
const counted = data.bonds.reduce((n, bond) => n + bond.refusals.length, 0);

expect(data.bonds.length >= 8, "a bond for each process of the demonstration");
expect(drawn("bond") === data.bonds.length, "a lane for each bond");
expect(drawn("life") === data.bonds.length, "each bond's time");
expect(drawn("answer") >= data.bonds.filter((bond) => bond.answers.length).length, "answers");
expect(counted === drawn("refusal") && counted >= 3, "the three refusals of part g");
// A process that is killed may have its file closed first: then there is none.
expect(exits.length === drawn("exit"), "exits of processes");
expect(data.marks.map(([, text]) => text[0]).join("").startsWith("abcdefg"), "the parts");
expect($("sum").textContent.includes(data.bonds.length + " bonds"), "the sum");

const bond = data.bonds[refused], lane = TOP + refused * LANE + 10;
const [us, why] = bond.refusals[0];
expect(tip(x(us), lane).includes(why), "why a page is refused");
expect(tip(x(us), lane + LANE * data.bonds.length) === "", "nothing is said where nothing is");

/* Around the first answer, until it is wide. */
const first = bond.answers[0], before = view.to - view.from;
for (let i = 0; i < 60 && x(first[1]) - x(first[0]) < 80; i++)
	mouse(WheelEvent, "wheel", x((first[0] + first[1]) / 2), lane, { deltaY: -150 });
expect(view.to - view.from < before / 10, "the wheel zooms");
expect(x(first[1]) - x(first[0]) >= 80, "an answer is wide enough to be seen");
expect(tip((x(first[0]) + x(first[1])) / 2, lane).includes("page request"), "what an answer was");
expect(tip((x(first[0]) + x(first[1])) / 2, lane).includes(first[4] + " after"), "its code and time");

svg.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
expect(view.to - view.from < before / 10, "a move keeps the zoom");
mouse(MouseEvent, "dblclick", width / 2, lane);
expect(view.from === 0 && view.to === all.to, "a double click shows all");
mouse(WheelEvent, "wheel", width / 2, lane, { deltaY: 3000 });
expect(view.from === 0 && view.to === all.to, "there is no more than all");

const pre = document.createElement("pre");
pre.id = "tested";
pre.textContent = "\n" + (told.length ? told.join("\n") : "ok: all") + "\n";
document.body.append(pre);
})();
