// Package house holds the rules of the house as tests: who may import whom, how long a file
// and a function may be, that everything public is explained, that nothing runs before main,
// that tests don't sleep, and which packages the gateway links on its boards.
//
// It has no code of its own. A rule that must give way is changed here, in the open.
package house
