// Package channels is the vocabulary of how people and other houses are told: the settings of messages (channels, provider
// profiles, templates, quiet hours) and of callbacks, as the configuration has them and the rooms notify and
// callback work by them.
//
// It holds settings and their checks only: no I/O, no state. Secrets are named by file, and are read by who uses them.
package channels
