package edge

// FileOn gives tests a file on a file system of theirs.
func FileOn(fs FS, path string) interface {
	Read() ([]byte, error)
	Append([]byte) error
	Replace([]byte) error
} {
	return file{fs, path}
}
