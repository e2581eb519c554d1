// Package status is the page that shows whether a gateway is well: /healthz for people and watchers, /metrics for
// Prometheus (text format 0.0.4). Both are drawn from one Report at the time of the request.
//
// /healthz answers 200 with the report as JSON while every vital part runs, and 503 when one doesn't. A device that is down or a
// cloud that is away is no fault of the gateway's: it shows in the report and in "degraded".
//
// It answers GET and HEAD only, within 5 s, to at most 16 requests at a time, and knows no other path.
package status
