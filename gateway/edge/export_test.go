package edge

import "yizhan/gateway/internal/spool"

// FileAt gives tests a file on the operating system's file system.
func FileAt(path string) interface {
	Read() ([]byte, error)
	Append([]byte) error
	Replace([]byte) error
} {
	return file{spool.OS(), path}
}
