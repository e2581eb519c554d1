package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"yizhan/firmware-sim/internal/firmware"
	"yizhan/firmware-sim/internal/scenario"
)

// front is the county's public API as an upstream system and a phone use it.
type front struct {
	base      string // http://127.0.0.1:8080
	tokenFile string // read for each request: the cloud makes a new token at each start
	client    *http.Client
	sims      map[string]*firmware.Modem // by site: whose people read their messages there
	looked    map[string]int64           // versions of waybills, as they were looked at last
}

func newFront(base, tokenFile string) *front {
	return &front{base: base, tokenFile: tokenFile, client: &http.Client{Timeout: 10 * time.Second}}
}

// Announce tells the county of parcels that will come.
func (f *front) Announce(ctx context.Context, parcels []*scenario.Parcel) error {
	type waybill struct {
		Waybill   string          `json:"waybill"`
		EPC       string          `json:"epc,omitempty"`
		Locker    string          `json:"locker,omitempty"`
		Size      string          `json:"size,omitempty"`
		Consent   string          `json:"consent"`
		Recipient scenario.Person `json:"recipient"`
	}
	body := make([]waybill, len(parcels))
	for i, p := range parcels {
		body[i] = waybill{p.Waybill, p.EPC(), p.Locker, p.Size, p.Consent, p.To}
	}
	return f.post(ctx, "/api/v1/waybills", body)
}

// Open orders a cell to be opened. A locked door in front of somebody tells whether it was.
func (f *front) Open(ctx context.Context, device string, cell int) error {
	return f.post(ctx, "/api/v1/commands", map[string]any{
		"device": device, "action": "open_cell", "args": map[string]string{"cell": strconv.Itoa(cell)},
	})
}

func (f *front) post(ctx context.Context, path string, body any) error {
	return f.send(ctx, http.MethodPost, path, body)
}

func (f *front) send(ctx context.Context, method, path string, body any) error {
	b, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, f.base+path, bytes.NewReader(b))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	return f.do(req, nil)
}

// get fills into with an answer.
func (f *front) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+path, nil)
	if err != nil {
		return err
	}
	return f.do(req, into)
}

func (f *front) do(req *http.Request, into any) error {
	token, err := f.token()
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4<<20))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %.300s", req.Method, req.URL.Path, res.Status, answer)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(answer, into)
}

func (f *front) token() (string, error) {
	b, err := os.ReadFile(f.tokenFile)
	return strings.TrimSpace(string(b)), err
}

// healthy waits until url answers 200.
func healthy(ctx context.Context, url string) error {
	client := http.Client{Timeout: 2 * time.Second}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not answer: %w", url, ctx.Err())
		case <-tick.C:
		}
	}
}
