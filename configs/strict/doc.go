// Package strict reads configuration files: YAML in, a struct out, or every error at once.
//
//	var c Config                       // prefilled with defaults
//	err := strict.Decode("gateway.yaml", src, &c)
//
// prints, when it fails, one line an error, each with file, line, column and key:
//
//	gateway.yaml:7:3: broker.lisen: unknown key; allowed here: listen, users
//	gateway.yaml:12:11: devices[1].id: "gps" is taken by line 9
//
// # Promises
//
//   - An unknown key, a key given twice, a missing required key, a value of the wrong type and what a
//     Validate method finds are all reported together, in the order of the file. (A file that is
//     no YAML has one error: where the syntax breaks.)
//   - A key that is absent leaves its field as it was, so defaults are what the struct held before.
//   - Nothing is converted silently: a number is no string, "yes" is no bool, 1.5 is no integer, a
//     duration is written "250ms" and not 250.
//   - Anchors, aliases, merge keys, tags and a second document are refused: every value stands where it
//     is read.
//   - No input makes it panic; a file is at most 1 MiB.
//
// # Fields
//
// A field's key is its yaml tag (yaml:"listen"), or its name in lower case; yaml:"-" is no key and
// yaml:",inline" lifts a struct's keys. strict:"required" makes a key required, strict:"secret" keeps a
// value out of Print. Types: string, bool, integers, floats, time.Duration, anything with
// UnmarshalText or UnmarshalYAML(func(any) error), structs, pointers, slices, maps with string keys, and
// Node for a part whose shape is known later.
//
// # Validate
//
// When the value given to Decode has a method Validate() error, it is called once. The errors it joins are
// placed at the key that Field names; an error about a key that is already reported is left out.
package strict
