// Package modem sends text messages through a GSM modem with AT commands in PDU mode: 3GPP TS 27.005 (messages), 27.007
// (SIM, network, signal), 23.040 (PDUs, status reports), 23.038 (alphabets), ITU-T V.250 (lines and results). It suits USB and serial modems
// and modules (SIM800, SIM7600, Neoway N11, Quectel EC20 and their like) on the port that takes AT commands.
//
//	devices:
//	  - id: sms
//	    kind: modem
//	    port: serial:/dev/serial/by-id/usb-modem-if02?baud=115200
//	    smsc: "+8613800100500"   # only where the SIM has none
//	    validity: 24h            # how long the network tries
//	    spacing: 4s              # between messages, at least 3s
//	    daily_cap: 200           # messages in 24 hours, each part of a long one counts
//	    max_parts: 4             # of one text
//	    inbox: delete            # what comes is counted and deleted, or keep
//
// Take the PIN off the SIM: the driver never enters one, for three wrong ones lock the card.
//
// # Bytes
//
//	> AT+CMGS=25 CR
//	< CR LF "> "                        within 5 s
//	> 0891683108100005F0 11000D91683109423346F90008000A5DE54F5C61095FEBFF01 1A
//	< +CMGS: 17, OK                     within send_timeout, 60s
//
// The PDU is the service centre's address (00: the SIM's) and an SMS-SUBMIT, whose octets the number in AT+CMGS counts:
//
//	01|10|20|40  submit, relative validity, status report asked for, user data header
//	00           reference, which the modem fills in
//	0D 91 ..     digits, type (91 international, 81 as dialled), digits in swapped halves, F pads
//	00 08 A7     protocol, 08 UCS-2 or 00 default alphabet, validity
//	0A ..        length and user data
//
// A text in the default alphabet (ASCII but for the grave accent, and some more) goes as septets, 160 in a message or 153 in
// each part; any other as UCS-2, 70 characters, or 67 in each part. Parts begin with 05 00 03 ref total number. A character
// beyond the BMP is two units, and a character such as [ or € two septets: neither is cut in two.
//
// # Commands
//
// send_sms {to: "+8613800138000", text: "...", ref: "job-17"}. to has 3 to 20 digits, with or without + in front; ref is
// up to 40 letters, digits and -_.:/ by which the caller knows the message; it may be absent, and must not hold the number. Outcomes, ref= behind each:
//
//   - done "sent parts=2 mr=17,18": the network took it (a reference that got lost is left out). It is not delivered yet.
//   - refused: nothing went out, or the network said no. The first word is a class:
//     temporary (+CMS 41, 42, 331; not_registered): another try later is right. doubtful (+CMS 332, 500; +CME 31): another try later may send it
//     twice. network, rejected, malformed, sim, memory, smsc, error: no other try without a person.
//     no_prompt, busy, not_running, daily_cap: the modem wasn't given the message. bad_number, bad_text, bad_ref, too_long, unknown_action: it can't be.
//   - unknown "no_result part=1/1": the modem had the message and never said what became of it; stopped: the line or the gateway
//     went away meanwhile; partial CLASS: earlier parts are out, this one isn't, later ones were not tried.
//
// The driver itself never sends anything a second time. Retrying is for who knows whether twice is better than never.
//
// # Readings
//
//   - health each minute: sim_ready, registered, registration (1 home, 5 roaming, 2 searching, 3 denied, 6 and 7 messages only), csq and
//     rssi_dbm, rxqual, operator_mccmnc (46000), sent_24h, reports_awaited, sim_messages. What isn't known is absent.
//   - alarm, once until it is over: sim_missing, sim_pin, sim_puk, sim_failure, not_registered (for register_alarm, 3m), daily_cap.
//   - result with the command's id, n "dr-" and the id: a delivery report came. done "delivered": all parts are on the phone. refused "failed
//     st=70": the network gave up, st is TP-ST (23.040 section 9.2.3.15). It may come seconds or days after the command's own result, which has n "cmd-" and the
//     id; a message may get neither. Who folds them takes the later word, and "delivered" after an unknown outcome as the truth.
//
// Nothing has at: a modem's clock is nobody's.
//
// # Personal data
//
// Numbers and texts are in no reading, log line, counter or kept bad frame (their digits are hidden). Private tells the gateway that arguments of send_sms are
// a person's. To match reports, the last eight digits of a number stay in memory, for a week at most. Messages that come are
// counted and deleted unread unless inbox is keep. Decode hides the middle digits of numbers and tells the length of texts only.
//
// # Promises
//
//   - A PDU is handed over at most once, whatever is lost, and only at a prompt. Before it a message is refused, after it unknown until
//     the modem says more. One message at a time, spacing apart.
//   - Before a command the line is brought to where the next answer is the command's: after an answer that never came with ESC, silence, and AT
//     until OK. ESC also takes back a prompt that a gateway left behind when it died.
//   - What the modem tells unasked (+CDS, +CMTI, RING ...) may come at any moment, between the lines of an answer too.
//   - A line with a byte that no modem sends is thrown away, never guessed at; so is a PDU that doesn't have the length announced.
//   - An echo that comes back after ATE0, and RDY or a power-down notice, mean that the modem began anew: Run ends and sets it up again.
//   - "SMS Ready" and its like mean that it has come up: PDU mode and routing are set again before the next message.
//   - After reset_after (2) prompts in a row that never came the modem is reset (AT+CFUN=1,1).
//
// # It does not
//
// Enter a PIN, dial, carry data (leave the network interface to the system), use text mode, read messages to anybody, or
// remember across restarts of the gateway: reports on messages sent before one are unmatched, and the day's count begins at 0.
// AT has no checksum: a digit that the line damaged can't be told, so use USB or a short wire. What gateway record captures of a
// modem holds numbers and texts whole: delete it when it has served.
//
// # Counters
//
// frames_ok (answers and, in captures, PDUs), timeouts, resync (bytes of lines without end), garbled (lines), echoes, unasked, strays (lines that mean nothing
// here), bad_pdu, restarts; sent, refused, unknown (commands), parts (handed over), late (references that came after the wait);
// delivered, failed, trying, unmatched (reports), received (messages). The last bad frames are kept, digits hidden.
package modem
