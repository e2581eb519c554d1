// Package coldchain is the rule of cold boxes: whether a climate reading is within the limits, and since when the box is out of
// them. What is trusted of the readings is marks of the box's trace, and a Spell is a function of that set of marks alone, in whatever order
// they came. It touches no store and no clock.
package coldchain
