package live

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"
)

const burst = 64 // events between two flushes

// ServeHTTP is the stream.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.enter() {
		h.refused.Add(1)
		w.Header().Set("Content-Type", "application/problem+json")
		w.Header().Set("Retry-After", "5")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"status":503,"title":"Service Unavailable","detail":"too many streams are open"}`)
		return
	}
	defer h.leave()
	h.streams.Add(1)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	c := client{hub: h, w: w, ctl: http.NewResponseController(w)}
	if err := c.serve(r); err != nil && r.Context().Err() == nil {
		h.slow.Add(1)
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			h.opt.Log.Debug("stream ended", "err", err)
		}
	}
}

type client struct {
	hub *Hub
	w   http.ResponseWriter
	ctl *http.ResponseController
}

var errBehind = errors.New("fell off the ring")

func (c *client) serve(r *http.Request) error {
	h := c.hub
	// The deadline of reading the request must not end what follows it.
	if err := c.ctl.SetReadDeadline(time.Time{}); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	n, reason := h.start(r.Header.Get("Last-Event-ID"))
	hello := "retry: 2000\n\n"
	if reason == "" {
		h.resumed.Add(1)
	} else {
		h.resets.Add(1)
		hello += fmt.Sprintf("id: %s-%d\nevent: reset\ndata: {\"reason\":%q}\n\n", h.run, n-1, reason)
	}
	if err := c.write([]byte(hello)); err != nil {
		return err
	}
	beat := time.NewTicker(h.opt.Heartbeat)
	defer beat.Stop()
	end := time.NewTimer(h.opt.MaxAge)
	defer end.Stop()
	for {
		events, next, grown, ok := h.after(n, burst)
		if !ok {
			return errBehind
		}
		if len(events) > 0 {
			if err := c.write(events...); err != nil {
				return err
			}
			n = next
			if r.Context().Err() != nil {
				return nil
			}
			continue
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-end.C:
			return nil
		case <-grown:
		case <-beat.C:
			if err := c.write([]byte(":\n\n")); err != nil {
				return err
			}
		}
	}
}

// write gives each burst its own deadline; the server's WriteTimeout would end every stream.
func (c *client) write(parts ...[]byte) error {
	if err := c.ctl.SetWriteDeadline(time.Now().Add(c.hub.opt.Write)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	for _, p := range parts {
		if _, err := c.w.Write(p); err != nil {
			return err
		}
	}
	return c.ctl.Flush()
}
