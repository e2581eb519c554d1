package frame

import _ "embed"

// dictionary is what every packed body of version 2 may refer to: texts that frames often hold. It is part of the
// version and never changes.
//
//go:embed version2.dict
var dictionary []byte

const dictID = 2
