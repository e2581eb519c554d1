// Package epc turns the EPC bank of a UHF tag into its GS1 name and back.
//
// Standard: GS1 EPC Tag Data Standard 1.13 (November 2019), sections 6 (URIs), 7 (element
// strings), 10, 12 and 14 (binary coding tables) and 15 (EPC memory bank).
//
// Covered, in both directions: SGTIN-96 and SGTIN-198, SSCC-96, SGLN-96 and SGLN-195, GRAI-96 and
// GRAI-170, GIAI-96 and GIAI-202; as binary, pure identity URI (urn:epc:id:...), EPC tag URI
// (urn:epc:tag:...) and GS1 element string ((01)...(21)...).
//
// # Promises
//
//   - FromBytes gives an EPC only for bits that the standard allows: a partition of 7, a company
//     prefix or reference with too many digits, a character outside the GS1 set of 82,
//     anything but zeros behind the end of a serial, behind the fields of SSCC-96 or behind the
//     scheme's last bit is an error, and the tag keeps its hex as its name.
//   - What FromBytes accepts, Append gives back bit for bit, whatever the filter value; zero
//     padding behind the scheme's bits comes back as padding to a whole 16-bit word.
//   - An EPC is comparable, holds no pointer, and decoding and appending allocate nothing.
//
// # Not covered
//
// Other headers (GDTI, GSRN, GID, CPI, SGCN, ITIP, ADI, USDoD; the TDS 2 schemes F0 to FB), ISO 15962 content
// (toggle bit set in the protocol control word), a TID read by mistake (E2) and blank tags
// (00): all keep their hex. The hash sign, which the URI syntax can escape, is no GS1 serial
// character and is refused.
//
// # Counters of Decode
//
// lines (not blank), gs1, raw (valid hex that keeps its hex as its name), rejected (no hex).
package epc
