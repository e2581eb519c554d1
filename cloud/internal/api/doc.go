// Package api answers programs and the console: JSON over HTTP under /api/v1, described by OpenAPI 3.1.
//
//	GET  /about                          whose county this is, the server's time
//	GET  /map                            the county's base map and sites (GeoJSON, RFC 7946)
//	GET  /vehicles, /vehicles/{id}       vans with position, age and motion
//	GET  /vehicles/{id}/track?from&to    where one was (GeoJSON)
//	GET  /lockers, /lockers/{id}
//	GET  /coldboxes, /coldboxes/{id}, /coldboxes/{id}/climate?from&to
//	GET  /parcels?q&after&limit, /parcels/{waybill}
//	GET  /devices, /devices/{gateway}/{device}
//	GET  /gateways, /gateways/{id}, /gateways/{id}/ledger
//	POST /waybills                       one or up to 1,000, JSON or CSV: good rows pass, bad rows come back with index and field
//	PATCH /waybills/{waybill}, GET .../history, POST .../cancel
//	POST /parcels/{waybill}/events       what a person says happened; the same id again is the same event
//	GET  /containers, /containers/{id}, PUT /containers/{id}, POST .../pack, unpack, break, count
//	GET  /exceptions?object&class&cause&open, /exceptions/{id}, POST .../end
//	POST /commands, GET /commands, GET /commands/{id}
//	GET  /parcels/{waybill}/label.zpl, /parcels/{waybill}/label.pdf, POST /labels, POST /parcels/{waybill}/label/readback
//	GET  /epcis/events, /epcis/events/{eventID}, /epcis/capture/{id}, POST /epcis/capture, /epcis/events (EPCIS 2.0, its own errors)
//	GET  /ratings?since                  what recipients say, by site
//	GET  /notices?status&site&waybill&tasks, POST /notices/{id}/send, drop, told, no_answer, wrong_number
//	GET  /sites/{id}/uncollected, /sites/{id}/calls; on paper /print/uncollected/{id}
//	PUT  /notice-preferences, POST /notice-preferences/lookup
//	GET  /callbacks, PUT and DELETE /callbacks/{id}, GET /callbacks/{id}/queue, POST .../queue/{seq}/retry, skip, POST /callbacks/{id}/replay
//	GET  /runs?day, POST /runs/import (CSV or GTFS), GET and PATCH /runs/{id}, GET /runs/{id}/manifest
//	POST /run/acts, GET /run/acts        what couriers and keepers did, each once by its id; GET /run/photos/{id}
//	GET  /run/kit, POST /run/deposits    what a phone needs for a day; a free cell that fits opens
//	GET  /stream                         changes (room live)
//
// # Promises
//
//   - A list is {items, next}; next is empty at the end and else the value of after for more.
//   - A live value carries when it was measured, how good that time is, and its age at the moment of the answer.
//   - An error is problem+json (RFC 9457) and names the parameter or field; what a store said is logged, not shown.
//   - What is a person's is sealed before it goes on (Persons), and comes back masked, or not at all; only /sites/{id}/calls and its
//     page tell whole names and numbers, to whoever has to call.
//   - Bodies are capped (1 MiB), questions to the store have a deadline.
//
// It does not decide who may ask (room account stands before it), nor hold state.
package api
