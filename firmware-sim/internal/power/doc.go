// Package power is the supply of the simulated boards: it starts programs and starts them again
// when they die, as a board does whose power never went.
//
// A Rack runs Units, each a process with its own log file. Units can be killed (kill -9), paused
// and resumed (SIGSTOP, SIGCONT: a starved board), switched off and on. A Link is the cable
// between a board and the county network: a TCP forwarder that can be cut and reset. A Sky is a mobile
// network in its place: rate, delay, loss, and silence in either direction, for packets or streams. A Lock keeps a second
// simulator off a data folder.
//
// Promises: a unit's process dies with the rack, even when the rack itself is killed with -9
// (PR_SET_PDEATHSIG); Run returns only after all of them are gone; stopping is SIGTERM first and
// SIGKILL after a grace time; a unit that ends is started again after a pause that doubles up to
// 5 s. It knows nothing of gateways, clouds or configuration.
package power
