// Package notify tells recipients what became of their parcels: it follows the county's facts, makes one notice of
// (parcel, event, occasion, recipient), and takes each notice through channels until it is delivered or somebody's task.
//
//	fact --FollowNotices, one transaction with the cursor--> notice: due
//	due --IntendNotice--> sending --the channel's answer--> sent, due (again, or the next channel), open, failed
//	sent, open --delivery report--> delivered, or due for the next channel
//
// # Events
//
//	arrived    a parcel came to an outlet; where its recipient takes a locker and there is one, only after arrival_wait
//	deposited  it lies in a locker: cell, code, until when; occasion is the deposit, whose code never changes
//	reminder, last_day, expired, extended   deadlines of the deposit; occasion is the deposit and the end of its keeping
//	recoded    the locker has another key, and the parcel another code; occasion is the deposit and the key's generation
//	collected  it was picked up or signed for
//	late, exception, resolved   an exception of the parcel that its recipient has to know of; occasion is the exception
//	sign_in    a code to see their parcels, that somebody asked for (SignIn); at any hour, by no mail, and not when it is too late
//	offline    the locker that it lies in can't be reached
//
// A later event ends the earlier ones that it makes pointless (table before in plan.go); what was told by mistake and is
// taken back is dropped, and comes back when it is told again.
//
// The address of the parcel's page stands at the end of a text where it stays one message with it (70 characters of UCS-2, 160 of the default
// alphabet), of a mail and of a demonstration always; a template that says {link} has it where it says so.
//
// # Classes of a try
//
//	temporary  it didn't go out: again after 5 s, 20 s ..., after Tries in a row the next channel, after all of them a longer pause
//	permanent  it didn't and won't by this channel: the next one at once
//	accepted   a provider has it; where it never says what became of it that is the end, else its report is awaited
//	unknown    it may be out: nothing happens for report_wait; without a report it is sent once more, and after that it is failed
//
// A crash between the intent and its outcome is unknown too; but of a modem's order, whose id is the try's, the desk is asked.
// A report that it didn't arrive takes the next channel. A channel that failed five times in a row, of whatever
// notices, rests for 30 s.
//
// # Promises
//
//   - One notice of one (parcel, event, occasion, kind), whatever is told twice, late or again, by how many workers.
//   - At least once, with at most one repeat: a message may have been handed over twice, never a third time by itself.
//   - A notice that isn't out after task_after is its outlet keeper's task as well, and the keeper's alone when no channel is
//     left, when nobody knows of its second handing over, or after give_up. Events that only remind make no tasks. A
//     delivery ends the task.
//   - Nothing is lost: every state is a row; a worker holds nothing between two writes.
//   - After a database restore nothing old goes out by itself (see below).
//   - A name, number or text stands in no row, log line or counter: texts are made when they are sent. A provider's
//     words are kept shortened, and longer numbers in them blotted out.
//
// # A database that was restored
//
// Beside the token lies a small file with the database's name, the last fact that notices were made of, and when. It is
// written before anything of those facts is sent. A database that is behind it, or another one, came out of a backup or anew;
// so did one with facts and without the file that no other worker is at. Then what happened up to the file's time (2 min
// on top, for clocks; up to now without the file) may have been told: all that is due or may be out becomes unknown, as
// does what gateways tell of that time again, until a person says send or drop. With several workers each has its file;
// one that is started with an old file beside a restored database notices less, so restore with all stopped and keep the files.
//
// # Limits of a channel
//
// daily_cap and per_minute are counted in the intent's transaction, so that two workers don't exceed them; used up, the next
// channel is taken. Nobody is told during quiet hours (the recipient's, the channel's, or those of all), but by mail.
//
// # It does not
//
// Decide who may read what (the API's rooms do), keep recipients (room person), derive codes (broker/pickup), or
// follow the network's own retries: a provider that says accepted and never reports leaves a person's task.
//
// # Counters
//
// planned, accepted, temporary, permanent, unknown (tries), delivered, refused (reports), failed, full (tries that met a quota), held
// (notices that a restore stopped), strangers (reports of tries or with secrets that nobody knows).
package notify
