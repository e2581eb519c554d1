package mqttlocker

// shapes are the public shapes, by the word in the config.
var shapes = map[string]Config{
	// The topics and fields of the Open-Locker project's contract. Doors are told by snapshots.
	OpenLocker: {
		Snapshots: []Snapshot{{
			Topic: "locker/{uid}/state/compartments", ID: "message_id", At: "timestamp",
			List: "compartments", Cell: "compartment_number", Door: "door_state", Item: "occupied",
		}},
		Events: []Events{{
			Topic: "locker/{uid}/event", ID: "message_id", At: "timestamp", Event: "event",
			Cell: "data.compartment_number", Item: "data.occupied",
			Words: map[string]string{
				"door_opened": "opened", "door_closed": "closed", "door_forced": "forced", "door_jammed": "jammed",
				"item_deposited": "deposited", "item_removed": "emptied",
			},
		}},
		Responses: Responses{
			Topic: "locker/{uid}/response", Command: "transaction_id", Result: "result", Detail: "error_code",
			Done: []string{"success"}, Refused: []string{"rejected", "expired"}, Failed: []string{"error", "failure"},
		},
		Heartbeat:  Heartbeat{Topic: "locker/{uid}/state/heartbeat", Gauges: map[string]string{"uptime_s": "uptime_seconds"}},
		Connection: Connection{Topic: "locker/{uid}/state/connection", State: "state", Online: []string{"online", "connected"}, Offline: []string{"offline", "disconnected", "lost"}},
		Command: Command{
			Topic: "locker/{uid}/command",
			Payload: `{"message_id":"{id}","transaction_id":"{id}","action":"open_compartment","timestamp":"{now}",` +
				`"expires_at":"{deadline}","data":{"compartment_number":{cell}}}`,
		},
	},
	// A wall of KERONG boards behind the lkaas program: lines of letters, and the lock's number as the command.
	LKAAS: {
		Snapshots: []Snapshot{{Topic: "{uid}/events", Format: Letters}, {Topic: "{uid}/status", Format: Letters}},
		Command:   Command{Topic: "{uid}/cmd", Payload: "{cell}"},
	},
}
