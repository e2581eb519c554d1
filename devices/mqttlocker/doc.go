// Package mqttlocker drives parcel lockers that speak MQTT themselves. There is no standard: what a locker says on which
// topic, and where in its JSON, is told by the config, and two public shapes are known by name: open-locker (the contract of the
// Open-Locker project) and lkaas (a wall of KERONG boards behind the lkaas program).
//
// The locker logs in to the gateway's own broker as a user with the role device:
//
//	broker:
//	  listen: 192.168.1.2:1883
//	  users:
//	    - {name: wall, role: device, password_hash_file: wall.hash}
//	devices:
//	  - id: box
//	    kind: mqttlocker
//	    user: wall                 # may be of one mqttlocker only, and is not its id
//	    shape: open-locker         # topics locker/{uid}/...; or lkaas: {uid}/...
//	    uid: 0b9c6e4e-1b1c-4f39    # absent: the user's name
//	    cells: 24
//
// Each section that is given replaces that of the shape; without a shape all are given here:
//
//	events:                    # one thing that happened at one cell
//	  - topic: lockers/{uid}/cell/{cell}/event
//	    id: msg.id             # the message's own id and time: paths into the JSON; one of them at least
//	    at: msg.time           # RFC 3339, or s, ms or us since 1970
//	    event: what            # the word, and what it means here
//	    words: {unlocked: opened, locked: closed, jam: jammed}
//	    ignore: [beep]
//	    item: parcel           # whether an item is there
//	    items: ["true", full]
//	snapshots:                 # the state of all cells
//	  - topic: lockers/{uid}/state
//	    at: time
//	    list: cells            # an array, or an object by number
//	    cell: no               # absent: the place in the list
//	    door: door
//	    open: [open]
//	    closed: [closed]
//	responses: {topic: lockers/{uid}/answer, command: id, result: result, done: [ok], refused: [denied, expired], failed: [error]}
//	heartbeat: {topic: lockers/{uid}/alive, gauges: {uptime_s: uptime, rssi_dbm: wifi.rssi}}
//	connection: {topic: lockers/{uid}/online, state: state, online: [up], offline: [down]}
//	command:
//	  topic: lockers/{uid}/command
//	  payload: '{"id":"{id}","open":{cell},"until":{deadline_s}}'
//	  confirm: door            # or response
//
// # Acknowledgement
//
// The broker lets Translate read each publish before it is kept: the locker's PUBACK follows the fsync of the readings that were
// made of it. A message that can't be read is quarantined and acknowledged, and blocks nothing.
//
// A message must carry its id or its time, so that a retry is kept once: n is the id where it is long, as a UUID is; a hash of topic, id
// and time where it is short, for it may be a counter that begins anew; a hash of the whole message where there is no id. Times are of
// the locker's clock (rtc); one before 2020 was never set and is left out.
//
// # Readings
//
// locker: an event as it is told. Of a snapshot, what differs from what was told since the last login: opened, closed, and deposited
// or emptied where a closed cell's item has come or gone; after a login each cell once, as a statement of what is.
// A login forgets, for what was said before it may not have been kept.
//
// health: online (1 or 0), and the heartbeat's gauges. alarm: locker_offline, after offline_after without a
// connection. The broker drops wills: it sees for itself that a connection is over.
//
// # Commands
//
// open_cell {cell: "7"}, published once, at QoS 0, to the one connection that the user has. It carries its id, for the locker to
// tell a second copy by, and its deadline: now and answer_within (10s). CommandTo.Pulsed is told when the locker says that it did, or tried, or its door
// moves; at the latest when nothing was heard by the deadline, for it may have.
//
//   - done: opened, the door was told open; answered, with confirm: response.
//   - refused: bad_cell, unknown_action, not_running, busy, offline, already_open, locker_refused.
//   - unknown: no_reply, not_opened (the locker says done, and no door opened), jammed, locker_failed, stopped.
//
// # Promises
//
//   - A command is sent at most once; an id that comes again gets the first outcome.
//   - A locker that isn't there is sent nothing, now or later: no session is kept for it.
//   - A command that wasn't answered by its deadline ends the connection, and with it what lies in buffers, so that it
//     can't open a door later. The deadline in the payload (and the message expiry of MQTT 5) is for the locker to check: one that only
//     understands a number, as lkaas, has the end of the connection alone.
//   - A locker says nothing outside its own topics, and hears no other's.
//
// # It does not
//
// Drive lockers that want another broker, QoS 2, or TLS on the local network.
//
// # Counters
//
// frames_ok (messages read), rejected, ignored, answers, late_replies (answers to no command), logins, commands, timeouts (commands
// that were not answered). The last rejected payloads are kept.
package mqttlocker
