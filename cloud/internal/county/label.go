package county

import "errors"

// ErrNoParcel says that no parcel has a waybill that a label was wanted of.
var ErrNoParcel = errors.New("label: no such parcel")

// ErrTagDiffers says that what was read back from a label is another tag than the parcel's, or none.
var ErrTagDiffers = errors.New("label: the tag differs")

// LabelOptions say what labels are wanted.
type LabelOptions struct {
	Size string // 100x150 or 76x130, millimetres
	DPI  int    // 203 or 300, of ZPL
	PDF  bool   // else ZPL
	Tags bool   // encode the parcel's tag, giving it one where it bears none
	Link bool   // the QR code is the tag's Digital Link, where it has one; else the waybill
}
