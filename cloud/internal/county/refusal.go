package county

import "errors"

// What the store answers to a request about one thing that can't be; its errors wrap them.
var (
	ErrAbsent = errors.New("there is none")
	ErrClosed = errors.New("its parcel is closed")
	ErrTaken  = errors.New("exists already")
)
