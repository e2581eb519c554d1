// Package registry reads a county folder: county.yaml, strictly, every error at once with line and
// column, into the county's Registry. It knows the form of the file and that what a field names
// exists; it keeps nothing.
package registry
