package epcis

import (
	"fmt"
	"net/url"
	"strings"

	"yizhan/cloud/internal/county"
	"yizhan/devices/epc"
)

// Names gives URIs to what has no GS1 key: below one base, BASE/site/wh, BASE/vehicle/v03, BASE/locker/lk-qingshi,
// BASE/device/wh-1/dock-a, BASE/container/bag-7, BASE/coldbox/cb-v03, BASE/parcel/YZ123456, BASE/waybill/YZ123456, BASE/order/7781.
type Names struct {
	base  string
	sites map[string]county.Site
	keys  map[string]epc.EPC // SGLN of sites
}

// NewNames makes names below base, an http or https URL without a slash at its end. Sites with an SGLN are called by it.
func NewNames(base string, sites []county.Site) (*Names, error) {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("epcis: %.80q is no http or https URL", base)
	}
	n := &Names{base: strings.TrimRight(base, "/"), sites: map[string]county.Site{}, keys: map[string]epc.EPC{}}
	for _, s := range sites {
		n.sites[s.ID] = s
		if s.SGLN == "" {
			continue
		}
		key, err := epc.FromURI(s.SGLN)
		if err != nil || key.Scheme() != epc.SGLN96 && key.Scheme() != epc.SGLN195 {
			return nil, fmt.Errorf("epcis: site %s: %.80q is no SGLN", s.ID, s.SGLN)
		}
		n.keys[s.ID] = key
	}
	return n, nil
}

// Space is the namespace of the extensions that events of this county have.
func (n *Names) Space() string { return n.base + "/epcis/" }

// Spaces are the prefixes that a document of this county declares.
func (n *Names) Spaces() map[string]string { return map[string]string{"yizhan": n.Space()} }

// Of is the URI of a thing: kind and id.
func (n *Names) Of(kind, id string) string {
	if key, ok := n.keys[id]; ok && kind == "site" {
		return key.URI()
	}
	parts := strings.Split(id, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return n.base + "/" + kind + "/" + strings.Join(parts, "/")
}

// Parcel is what a parcel is called: its EPC, or a URI of its waybill where it has none.
func (n *Names) Parcel(waybill, tag string) string {
	if _, err := epc.FromURI(tag); err == nil {
		return tag
	}
	return n.Of("parcel", waybill)
}

// Container is what a bag or cage is called: its EPC, or a URI of its id where it has none.
func (n *Names) Container(id, tag string) string {
	if _, err := epc.FromURI(tag); err == nil {
		return tag
	}
	return n.Of("container", id)
}

// ReadPoint is where a device reads: an extension of the SGLN of the site that it stands at, where there is one and it fits.
func (n *Names) ReadPoint(device, site string) string {
	if key, ok := n.keys[site]; ok {
		ext := strings.ReplaceAll(device, "/", ".")
		if e, err := epc.New(epc.SGLN195, key.Filter(), key.Company(), key.Reference(), ext); err == nil {
			return e.URI()
		}
	}
	return n.Of("device", device)
}

// Waybill is the waybill that a URI of this county names, as a parcel or as a waybill.
func (n *Names) Waybill(uri string) (string, bool) {
	for _, kind := range []string{"/parcel/", "/waybill/"} {
		if id, ok := strings.CutPrefix(uri, n.base+kind); ok && id != "" && !strings.Contains(id, "/") {
			return id, true
		}
	}
	return "", false
}
