// Package config reads a gateway's configuration file.
//
// Load reports every error at once, each with file, line, column and key (see configs/strict): unknown,
// doubled and missing keys, wrong types, bad ids and addresses, an unknown kind of device, and what each
// driver says about its own keys. It opens no port and no socket; of the files that are named it
// reads the password hashes only.
//
// Paths in the file are taken from the folder that the file is in. Secrets stand in files of their
// own: the board's key, its certificate, and password hashes.
//
// configs/gateway.example.yaml is the commented reference.
package config
