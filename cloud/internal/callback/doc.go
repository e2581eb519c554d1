// Package callback tells other houses' systems what becomes true of parcels: each fact that concerns a subscriber is one
// HTTP request, again until it is taken.
//
// # The request
//
// POST, one CloudEvents 1.0 envelope in structured JSON mode (CloudEvents HTTP binding 1.0.2, section 3.2), Content-Type
// application/cloudevents+json:
//
//	{"specversion": "1.0", "id": "step/YZ2600000001/...", "source": "urn:yizhan:county", "type": "yizhan.step",
//	 "subject": "parcel/YZ2600000001", "time": "2026-11-22T01:02:03.004Z", "sequence": "00000000000000000042",
//	 "datacontenttype": "application/json", "data": {...}}
//
// data is the EPCIS 2.0 event of the step, or what the fact tells where it is no business step. id is the fact's key and the
// same in each try: it is the idempotency key, repeated in header Idempotency-Key. Nothing personal stands in it.
//
// The request is signed as Standard Webhooks 1.0 has it: webhook-id is the id's SHA-256 in hex, webhook-timestamp the Unix seconds of
// this try, webhook-signature "v1," and the base64 of HMAC-SHA-256 over id "." timestamp "." body. A subscriber's secret, "whsec_"
// and base64, is derived from the key file and its id: it is told when the subscription is made, and stored nowhere.
//
// # Promises
//
//   - At least once, from the moment that the subscription is made: queued in the transaction that moves the cursor.
//   - In order for each object (parcel): what isn't taken holds what comes after it of the same parcel, and nothing else.
//   - 2xx is taken. Anything else is tried again after 5 s, 15 s ... up to an hour, for a day; then it has failed, stays visible and
//     waits for a person: retry or skip. A subscriber that can't be reached, or answers 429, 502, 503 or 504, is called by
//     nobody for 1 s, 2 s ... up to a minute.
//   - What waits for longer than late_after is alarmed (callback_late), once a day and subscriber.
//   - A replay tells everything from a number on once more, with the ids it had.
//   - Without private no address of this machine, a private, a link-local or another special network is called, whatever a name
//     resolves to. Redirects aren't followed.
//
// # It does not
//
// Read what subscribers answer, nor tell them of anything before their subscription but by a replay. A worker that
// stopped in the middle of a request for longer than its claim may deliver it after its successors: ids tell.
//
// # Counters
//
// queued, taken, refused (answers that weren't 2xx), unreached, given_up, late (that wait now).
package callback
