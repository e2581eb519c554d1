// Package scanner reads barcode and QR scanners on a serial line (also USB ones in their virtual serial
// mode): one scan a line, with the AIM symbology identifier before it where the scanner is set to send
// it (ISO/IEC 15424), and GS1 element strings (GS1 General Specifications, sections 3 and 7.8).
//
//	devices:
//	  - id: dock-scanner
//	    kind: scanner
//	    port: serial:/dev/serial/by-id/usb-scanner?baud=9600
//
// Set the scanner to: serial (RS-232 or USB COM), suffix CR or CR LF, AIM identifiers on, Group
// Separator transmitted for FNC1. Without identifiers scans come all the same, their symbology untold.
//
// # Readings
//
// scan, one a scan, never dropped as a repetition: a scanner has no number for its scans, and a parcel
// that is scanned twice was scanned twice. at is absent: the record's own time dates it. text is what
// the code holds, byte for byte (FNC1 as the character 1D), without the identifier. Besides symbology
// and text a body has
//
//   - aim: the identifier, such as C1 of "]C1";
//   - gs1: for GS1-128, GS1 DataBar, GS1 DataMatrix, GS1 QR and GS1 DotCode, an object of application
//     identifiers, {"01":"06901234567892","10":"A1"}, if the whole text is such and every check digit
//     is right. Otherwise it is left out, and counted.
//
// encoding says what bytes beyond ASCII are: utf-8 (the default), latin-1, or hex: a text that isn't UTF-8
// is then told as its bytes in hex, with "encoding":"hex" beside it. Without hex it is refused: it is
// rather noise than a scan.
//
// # Promises
//
//   - A scan is a line between line ends (CR, LF or both) of min_length (3) to 1024 bytes without control
//     characters but those of GS1 and ISO/IEC 15434 (EOT, FS, GS, RS, US). Anything else is refused,
//     counted and kept.
//   - A line that is cut, by unplugging or by a pause of a second, is no scan. A scanner that can't send
//     line ends needs end: pause; then 50 ms of silence end a scan.
//   - Silence is no fault: a scanner speaks when it is used.
//
// # It does not
//
// Set the scanner up, decode what a waybill's text means, or read scanners that act as a keyboard.
//
// # Counters
//
// frames_ok, malformed (lines with other characters, or too short), too_long, cut, bad_encoding,
// gs1_ok, gs1_bad (an identifier says GS1 and the text isn't), no_aim. The last bad lines are kept.
package scanner
