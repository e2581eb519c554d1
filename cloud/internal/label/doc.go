// Package label draws the label of a parcel, for thermal printers (ZPL II) and for paper (PDF 1.7): where the parcel goes in
// Chinese and English, its waybill as Code 128 and QR code, whom it is for (masked), how to handle it, and the command that
// writes the parcel's tag.
//
// Standards: ISO/IEC 15417 (Code 128), ISO/IEC 18004 (QR Code, level M), GS1 EPC Tag Data Standard 1.13 (the tag's bits), Zebra ZPL II
// (^BC, ^BQ, ^GF, ^RF), ISO 32000-1 (PDF).
//
// # Promises
//
//   - Both forms show the same: one layout in millimetres, of 100 x 150 or 76 x 130, at 203 or 300 dots an inch.
//   - Bars are at least 0.25 mm wide and have their quiet zones. A waybill that doesn't fit so has no bars: its QR code is the larger for it.
//   - Text is drawn by this room, so that a printer needs no Chinese font and a PDF no font file. In a PDF it can be searched and copied.
//     A sign without a glyph is drawn as the replacement character; what is too long is drawn smaller, then cut with an ellipsis.
//   - The tag is written before the label is printed, with the tag's length (PC word) set by its EPC, and read back: the printer
//     sends "EPC:" and the hex to whoever prints. Who gets that hands it to Verify.
//   - The same label gives the same bytes.
//
// It does not: talk to printers, keep anything, or see an unmasked name or phone.
package label
