package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"yizhan/firmware-sim/internal/scenario"
)

// The rest of the front: what a carrier's system, a courier's phone and a recipient's say and read.

// Pack tells what is in a bag, and of the bag.
func (f *front) Pack(ctx context.Context, bag uint64, waybills []string) error {
	path := "/api/v1/containers/" + scenario.BagID(bag)
	err := f.send(ctx, http.MethodPut, path, map[string]string{"kind": "bag", "epc": scenario.BagEPC(bag)})
	if err != nil {
		return err
	}
	return f.post(ctx, path+"/pack", map[string]any{"items": waybills})
}

// Unpack tells what was taken out of a bag.
func (f *front) Unpack(ctx context.Context, bag uint64, waybills []string) error {
	return f.post(ctx, "/api/v1/containers/"+scenario.BagID(bag)+"/unpack", map[string]any{"items": waybills})
}

// Say tells what a person did with a parcel, once.
func (f *front) Say(ctx context.Context, p *scenario.Parcel, step, reason string) error {
	body := map[string]any{"id": "sim-" + p.Waybill + "-" + step, "step": step, "at": time.Now(), "site": p.Site, "channel": "page"}
	if step == "completed" {
		body["channel"] = "upstream"
	}
	if reason != "" {
		body["reason"] = reason
	}
	return f.post(ctx, "/api/v1/parcels/"+p.Waybill+"/events", body)
}

// News lists the waybills that changed since it was asked last; the first time, all. One asks at a time.
func (f *front) News(ctx context.Context) ([]scenario.Known, error) {
	type row struct {
		scenario.Known
		Version int64 `json:"version"`
	}
	var out []scenario.Known
	looked := map[string]int64{}
	for after := ""; ; {
		var page struct {
			Items []row
			Next  string
		}
		if err := f.get(ctx, "/api/v1/parcels?limit=200&after="+url.QueryEscape(after), &page); err != nil {
			return nil, err
		}
		old := false
		for _, r := range page.Items { // the newest change first
			looked[r.Waybill] = r.Version
			if f.looked[r.Waybill] == r.Version {
				old = true
				continue
			}
			out = append(out, r.Known)
		}
		if after = page.Next; old || after == "" {
			f.looked = looked
			return out, nil
		}
	}
}

// sentNotice is a message as the outbox of a demonstration shows it.
type sentNotice struct {
	Status, Text, Link string
	About              struct{ Cell int }
}

func (f *front) notices(ctx context.Context, waybill string) ([]sentNotice, error) {
	var list struct{ Items []sentNotice }
	err := f.get(ctx, "/api/v1/notices?waybill="+url.QueryEscape(waybill), &list)
	return list.Items, err
}

// Message is what a recipient reads: in the village with a SIM what the network delivered, else what is in the outbox.
func (f *front) Message(ctx context.Context, p *scenario.Parcel) (string, error) {
	if sim := f.sims[p.Site]; sim != nil && p.To.Phone != "" {
		return sim.Text(p.To.Phone), nil
	}
	all, err := f.notices(ctx, p.Waybill)
	for _, n := range all { // the newest first
		if n.Status == "delivered" && n.About.Cell > 0 {
			return n.Text, nil
		}
	}
	return "", err
}

// Complain follows the link of the message and says there that the cell can't be opened.
func (f *front) Complain(ctx context.Context, p *scenario.Parcel) error {
	all, err := f.notices(ctx, p.Waybill)
	if err != nil {
		return err
	}
	if len(all) == 0 || all[0].Link == "" {
		return fmt.Errorf("%s: there is no link", p.Waybill)
	}
	form := strings.NewReader(url.Values{"do": {"cannot_open"}}.Encode())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.base+all[0].Link, form)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK { // after the redirect, the page
		return fmt.Errorf("POST of the page: %s", res.Status)
	}
	return nil
}
