// Package door tells what doors did when the cloud had them opened.
//
// A command's outcome is an answer; what the door did is seen by its board. This room knows both: it hears of a command that opens a cell as
// it is carried out (gateway/internal/command), and sees the readings of lock boards on their way to the spool. It adds the command's id as op to
// what the door tells, and tells itself what no board does. So the cloud has nothing to guess from times, and what comes late, twice or in
// another order says the same.
//
// # Readings
//
// Of kind locker, with op, the command's id. The board's own, to which only op is added:
//
//   - opened or forced: of the command's cell, once its lock may have been pulsed. opened also before that, for a locker that speaks MQTT may tell
//     of its door first.
//   - closed, deposited, emptied: once the door was seen open. What a sensor tells within Settle of the door's shutting belongs to it too.
//   - jammed.
//
// And told here:
//
//   - accepted: the intent is on the card and the device is about to act.
//   - pulse_sent: the driver says that the lock may have been pulsed from now on.
//   - wrong_door: another door of the same device, known shut, was told open within WrongWithin of the pulse, while the command's own wasn't seen to
//     move; cell is that other door's.
//   - not_opened, with waited_s: Patience after the pulse nobody saw the door move. Bolts stick: one may have let go without its door moving until
//     somebody pulls. Sooner, with the seconds that were waited, when the same cell is asked to open again.
//
// They carry the board's time and have an n of their own, so that telling one twice is one reading.
//
// # Promises
//
//   - Nothing here waits: neither a driver nor a command for the spool.
//   - A message that a locker tells again after it wasn't acknowledged gets the same op again (the last Remembered).
//   - What a cabinet says of an opening of its own (op, by) stays; where a command's door was waited for too, it is told opened besides.
//
// # It does not
//
// Keep anything: a gateway that starts anew knows of no opening before. The command's outcome, which is kept, is then unknown (interrupted) unless it
// was known. It follows no command of the gateway's own (command.Local): the cabinet does that.
//
// # Counters
//
// followed, opened, not_opened, wrong_doors, untold (readings dropped, for the spool has taken none for long).
package door
