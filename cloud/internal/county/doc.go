// Package county holds the nouns of the cloud: vehicles, lockers, cold boxes, parcels,
// containers, gateways and devices as every room speaks of them. The structs are the JSON of
// the API, of SSE events and of the console, so a field is named once.
//
// Ids: a vehicle is v03, a locker lk-qingshi, a cold box cb-v03, a gateway van-03, a device
// van-03/gps, a site wh. Times are UTC; a value that comes from a device is a Live value and
// carries its own time, its age when it was served, and the quality of that time. Absent means
// unknown.
//
// It also holds what the rooms hand to each other: a frame on its way from ingest to the store
// (Arrival, Verdict, Refusal), and the Registry that a county folder describes.
//
// The package has no behaviour but JSON and small pure helpers, and imports the ground floor only.
package county
