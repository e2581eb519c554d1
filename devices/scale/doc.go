// Package scale reads the weighing indicators of dock scales on a serial line: the ASCII formats that
// they send continuously.
//
//	devices:
//	  - id: dock-scale
//	    kind: scale
//	    port: serial:/dev/serial/by-id/usb-scale?baud=9600
//	    format: st-gs
//
// # Formats
//
// There is no standard, and one indicator's bytes are another's with the digits backwards: so format is
// told, never guessed. The indicator's manual names its format, or `gateway decode scale` shows it.
//
//	st-gs     ST,GS,+  12.34kg CR LF   A&D and everybody since. ST stable, US unstable, OL overload;
//	                                   GS gross, NT net (TR tare is skipped), or left out; sign; kg g t lb oz jin
//	yaohua    02 +001234 2 hh 03       Yaohua XK3190 "tF=0": sign, six digits, count of decimals, and
//	                                   the XOR of those eight bytes as two digits (0-9, A-F)
//	reversed  =00.0100-                XK3190 "tF=1": '=', then seven characters and the sign, the last
//	                                   digit first: -10.00; some have no sign's place
//	equals    =-0010.00                XK3190 "tF=2": '=', then sign and number as they are read
//	wg        WG004.139kg3D CR LF      XK3190-A12E: WG gross, WN net, number, unit, and the XOR of these eleven
//	                                   bytes as two digits
//	toledo    02 A B C 123456 000000   Mettler Toledo continuous, 17 bytes with CR, or 18 with a checksum
//	          CR chk                   (two's complement of the seven bits' sum): A tells the decimals, B
//	                                   net, sign, range, motion and unit
//	sics      S S      12.34 kg CR LF  Mettler Toledo MT-SICS (S, SI, SIR): S S stable, S D dynamic, S I
//	                                   and S + and S - no value
//	plain     12.34 kg CR LF           a number a line, unit or not
//
// reversed, equals, yaohua and plain (where the line names none) send no unit: unit says it (kg).
// A unit that isn't known is no weight. jin is 0.5 kg.
//
// # Readings
//
// weight, in kilograms, stable true: one when the load has come to rest on another weight than the one
// told before, and so also when it is taken off. At rest means: the indicator says stable (st-gs, toledo,
// sics), or doesn't tell; and settle (500ms) passed with at least three frames that all say the same.
// The same weight is told again only if the pan was at less than half of it in between: two parcels
// alike are two, a touched one is one. min_change (0) is how far it must be from the last to be told.
// at is absent: the record's own time dates it.
//
// alarm scale_overload (minor) when the indicator says so, once until it weighs again.
//
// # Promises
//
//   - Formats with a checksum are checked; the others have only the agreement of three frames between
//     noise and a weight. A wrong speed gives no frames.
//   - What isn't a frame is skipped to the next start and counted; at most 64 bytes are held.
//   - Silence of reopen_after (30s) ends Run, so that the port is opened anew. So does a line that
//     speaks in no frame. Some indicators fall silent while the weight moves: not for that long.
//
// # It does not
//
// Ask an indicator (it must send by itself), zero it, or tare it.
//
// # Counters
//
// frames_ok, bad_checksum, malformed, resync (bytes skipped), unstable, overloads, unknown_unit,
// ignored (tares, and SICS frames without a value), weighings, timeouts. The last bad frames are kept.
package scale
