package epcis

import (
	"slices"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/devices/epc"
	"yizhan/devices/telemetry"
)

// Link is the canonical Digital Link of a tag's pure identity URI; empty where it has none.
func Link(tag string) string {
	if l := link(tag); l != tag {
		return l
	}
	return ""
}

// Tags are the pure identity URIs that a canonical Digital Link may stand for: a link doesn't say how long the company's prefix is.
func Tags(digital string) (tags []string) {
	rest, ok := strings.CutPrefix(digital, linkBase+"/")
	if !ok {
		return nil
	}
	part := strings.Split(rest, "/")
	for n := 6; n <= 12; n++ {
		uri := ""
		switch number := part[1:]; {
		case part[0] == "00" && len(number) == 1 && len(number[0]) == 18:
			d := number[0]
			uri = "urn:epc:id:sscc:" + d[1:1+n] + "." + d[:1] + d[1+n:17]
		case part[0] == "01" && len(number) == 3 && number[1] == "21" && len(number[0]) == 14:
			d := number[0]
			uri = "urn:epc:id:sgtin:" + d[1:1+n] + "." + d[:1] + d[1+n:13] + "." + number[2]
		case part[0] == "8003" && len(number) == 1 && len(number[0]) > 14:
			d := number[0]
			uri = "urn:epc:id:grai:" + d[1:1+n] + "." + d[1+n:13] + "." + d[14:]
		default:
			return nil
		}
		if _, err := epc.FromURI(uri); err == nil && link(uri) == digital {
			tags = append(tags, uri)
		}
	}
	return tags
}

// byPlace are the steps that say where something is now; elsewhere what the others say.
var (
	byPlace = []string{"arriving", "receiving", "unloading", "storing", "stocking"}
	byStep  = map[string]county.Stage{
		"loading": county.Loaded, "shipping": county.InTransit, "departing": county.InTransit, "transporting": county.InTransit, "accepting": county.SignedFor,
		"retail_selling": county.SignedFor, "collecting": county.PickedUp, "decommissioning": county.Completed, "destroying": county.LostClosed,
	}
	byDisposition = map[string]string{
		"returned": string(county.Returned), "damaged": "damaged", "stolen": string(county.LostClosed), "destroyed": string(county.LostClosed), "disposed": string(county.LostClosed),
	}
)

// words are what a partner's event says of parcels; none where it says nothing that moves them.
func (r *Repository) words(m map[string]any, spaces map[string]string, e *county.EPCISEvent) []county.PartnerWord {
	if e.Type != "ObjectEvent" && e.Type != "AggregationEvent" {
		return nil
	}
	w := county.PartnerWord{TQ: r.quality(m, spaces)}
	n := r.cfg.Maker.names
	rests := n.place(e.BizLocation)
	at := rests
	if at == "" {
		at = n.place(e.ReadPoint)
	}
	switch kind, id, _ := strings.Cut(at, "/"); kind {
	case "site":
		w.Site = id
	case "locker":
		w.Locker = id
	case "vehicle":
		w.Vehicle = id
	}
	if kind, id, _ := strings.Cut(n.place(text(m["parentID"])), "/"); kind == "vehicle" && e.BizStep == "loading" {
		w.Vehicle, w.Site, w.Locker = id, "", ""
	}
	if w.Step = r.step(e, &w, rests); w.Step == "" {
		return nil
	}
	if w.Step != string(county.Loaded) && w.Step != string(county.InTransit) {
		w.Vehicle = ""
	}
	var out []county.PartnerWord
	for _, s := range r.subjects(m, e) {
		w.Subject = s
		out = append(out, w)
	}
	return out
}

// step is what an event says in the words that people use.
func (r *Repository) step(e *county.EPCISEvent, w *county.PartnerWord, rests string) string {
	if s, ok := byDisposition[e.Disposition]; ok {
		return s
	}
	kind := ""
	if s, ok := r.cfg.Maker.names.sites[w.Site]; ok {
		kind = s.Kind
	}
	switch {
	case slices.Contains(byPlace, e.BizStep), e.BizStep == "accepting" && rests != "":
		switch {
		case w.Locker != "":
			return string(county.InLocker)
		case kind == county.Warehouse:
			return string(county.AtWarehouse)
		case kind == county.Outlet:
			return string(county.AtOutlet)
		}
		return ""
	case e.BizStep == "staging_outbound" && kind == county.Warehouse:
		return string(county.Sorted)
	case e.BizStep == "decommissioning" && e.Disposition == "unknown":
		return string(county.LostClosed)
	}
	return string(byStep[e.BizStep])
}

// subjects are what an event is about: its objects, or the waybills of its transactions where it is about one thing or names none.
func (r *Repository) subjects(m map[string]any, e *county.EPCISEvent) []string {
	n := r.cfg.Maker.names
	objects, waybills := map[string]bool{}, map[string]bool{}
	for _, field := range []string{"epcList", "childEPCs"} {
		for _, v := range elements(m[field]) {
			id := text(v)
			if waybill, ok := n.Waybill(id); ok {
				objects["parcel/"+waybill] = true
			} else if l := link(id); strings.HasPrefix(l, linkBase+"/") {
				objects["link/"+l] = true
			}
		}
	}
	for _, t := range e.Terms {
		if waybill, ok := n.Waybill(t.Value); ok && t.Kind == "bt/bol" {
			waybills["parcel/"+waybill] = true
		}
	}
	if len(waybills) > 0 && (len(objects) == 0 || len(objects) == 1 && len(waybills) == 1) {
		objects = waybills
	}
	out := make([]string, 0, len(objects))
	for s := range objects {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// quality is how well eventTime is known, where an event says so in this county's extension.
func (r *Repository) quality(m map[string]any, spaces map[string]string) telemetry.Quality {
	for prefix, space := range spaces {
		if space != r.cfg.Maker.names.Space() {
			continue
		}
		switch q := telemetry.Quality(text(m[prefix+":timeQuality"])); q {
		case telemetry.GNSS, telemetry.NTP, telemetry.Cloud, telemetry.RTC, telemetry.Retro:
			return q
		}
	}
	return telemetry.Unknown
}

// place is the site, vehicle or locker of the county that a URI names: site/wh; empty where it is none.
func (n *Names) place(uri string) string {
	if rest, ok := strings.CutPrefix(uri, n.base+"/"); ok {
		kind, id, _ := strings.Cut(rest, "/")
		if id != "" && !strings.Contains(id, "/") && (kind == "site" || kind == "vehicle" || kind == "locker") {
			return rest
		}
		return ""
	}
	if uri == "" {
		return ""
	}
	of := link(uri)
	for id, key := range n.keys {
		own := link(key.URI())
		own, _, _ = strings.Cut(own, "/254/")
		if of == own || strings.HasPrefix(of, own+"/254/") {
			return "site/" + id
		}
	}
	return ""
}
