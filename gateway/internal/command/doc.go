// Package command carries out what the cloud asks of the gateway's devices, at most once.
//
// # The life of a command
//
//  1. Handle takes the message (frame.Command, JSON) and returns at once; commands to one driver run one after another,
//     those to others don't wait for them: a message that is sent for a minute holds no locker up.
//  2. A known id is not run again: its first outcome is told again, even when device, action or arguments are other ones (counted
//     and logged). While it is under way nothing happens.
//  3. The lease is checked: the command must name the boot that runs now, and a monotonic time that is not ahead of now
//     and at most LeaseMS behind. Transit counts in full, so a command that waited anywhere is stale.
//  4. The intent is written to the log on the card and synced. Only then is the device told to act.
//  5. The outcome is written and synced, then told as a reading of kind result of the device, with n "cmd-" and the id,
//     so that telling it twice is one reading.
//
// A Follower hears of each step of the cloud's commands as it happens (gateway/internal/door tells what the doors do).
//
// A command of the gateway itself (Local: what a code or a scan at the locker asks for) has no lease but an age; it waits in the same
// line, is written down before the act in the same way, and its outcome is told like any other.
//
// Outcomes: done, refused (nothing happened: stale, unknown_device, not_commandable, invalid, not_written ...), unknown
// (somebody must look: interrupted, no_reply ...).
//
// The action ping runs nothing and needs no lease: the gateway says hello, which tells its boot and time. The action
// restart is the gateway's own: it restarts the device's driver. A device that shares its driver with others (devices.Hosting) is not_restartable.
//
// # Promises
//
//   - An act that may have begun is never begun again: after a crash between intent and outcome the outcome is unknown.
//   - When the intent can't be made durable the answer is refused and the device isn't touched.
//   - An outcome that was not told before a crash is told after it.
//   - No driver waits for the spool: outcomes are told beside the acts.
//   - Neither the log on the card nor any log line holds an argument: the card keeps 16 bytes of a hash of device, action and arguments, keyed
//     with the id. What a driver says in a result is kept as it is, and where it marks an action as devices.Private even the text of a
//     panic is withheld. Who has the card and guesses all arguments of a command can confirm the guess.
//   - The log holds the last 1,024 commands. Older ids are protected by their lease alone.
//
// The log is lines of 8 hex digits CRC-32C, a space, JSON. A torn last line is cut; a damaged line is counted and passed over.
//
// # Counters
//
//	received, invalid     command messages, those that could not be read
//	done, refused, unknown
//	replayed              outcomes told again
//	dropped               commands that came while 64 were waiting for the same driver
//	conflicts             ids that came again with something else
//	damaged               lines of the log that could not be read
package command
