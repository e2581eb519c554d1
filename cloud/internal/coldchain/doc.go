// Package coldchain is the rule of cold boxes: which climate reading becomes the box's climate, and since
// when the box is outside of its limits. It touches no store and no clock.
package coldchain
