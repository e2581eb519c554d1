// Package config reads the cloud's configuration: YAML, strict, every error at once with line and
// column (configs/strict). configs/cloud.example.yaml explains each key; a test loads it.
//
// Paths are as the process sees them. Secrets stand in files (token_file) or, for a database's
// password, in the URL, and Print leaves them out.
//
// It does no I/O beyond reading the file: a config that passes may still name a port that is taken.
package config
