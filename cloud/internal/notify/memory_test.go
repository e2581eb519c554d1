package notify

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"yizhan/cloud/internal/county"
)

// memory is an Outbox without a database: what the real one does, each method in one step. at, where set, is called before and
// after each write, and may panic: a crash.
type memory struct {
	facts    []county.Fact
	cursor   int64
	notices  map[string]county.Notice
	refs     map[string]string
	reports  map[string]county.NoticeReport
	until    map[string]time.Time // claims of reports
	counts   map[string]int64
	inside   map[string][]county.Waybill
	waybills map[string]county.Waybill
	name     string
	restored time.Time
	beat     time.Time
	made     map[string]int
	wake     chan struct{}
	at       func(point string)
}

func newMemory() *memory {
	return &memory{
		notices: map[string]county.Notice{}, refs: map[string]string{}, reports: map[string]county.NoticeReport{}, until: map[string]time.Time{},
		counts: map[string]int64{}, inside: map[string][]county.Waybill{}, waybills: map[string]county.Waybill{}, made: map[string]int{},
		wake: make(chan struct{}), at: func(string) {},
	}
}

// tell adds a fact.
func (m *memory) tell(event county.FactEvent, object string, doc any, at time.Time) {
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	m.facts = append(m.facts, county.Fact{Seq: int64(len(m.facts) + 1), At: at, Object: object, Event: event, Key: fmt.Sprint("fact/", len(m.facts)), Doc: b})
}

func (m *memory) write(point string, f func()) {
	m.at("before " + point)
	f()
	m.at("after " + point)
}

func clone(n county.Notice) county.Notice {
	n.Tries = slices.Clone(n.Tries)
	return n
}

func (m *memory) FollowNotices(_ context.Context, limit int, plan func([]county.Fact, county.NoticeDesk) (county.NoticePlan, error)) (n, made int, err error) {
	facts := m.facts[m.cursor:]
	facts = facts[:min(limit, len(facts))]
	if len(facts) == 0 {
		return 0, 0, nil
	}
	p, err := plan(facts, county.NoticeDesk{
		Restored: m.restored, At: func(place string) ([]county.Waybill, error) { return m.inside[place], nil },
		Of: func(w string) (county.Waybill, error) { return m.waybills[w], nil },
	})
	if err != nil {
		return 0, 0, err
	}
	m.write("follow", func() {
		m.cursor = facts[len(facts)-1].Seq
		for _, v := range p.Void {
			m.void(v)
		}
		for _, n := range p.Put {
			old, there := m.notices[n.ID]
			if there && (old.Status != county.NoticeDropped || old.Reason != county.VoidRetracted) {
				continue
			}
			if there {
				n.Tries, n.Version = old.Tries, old.Version+1
			} else {
				m.made[n.Waybill+"/"+string(n.Event)+"/"+n.Occasion]++
			}
			m.notices[n.ID] = n
			made++
		}
	})
	return len(facts), made, nil
}

func (m *memory) void(v county.NoticeVoid) {
	for id, n := range m.notices {
		if v.Waybill != "" && n.Waybill != v.Waybill || v.Occasion != "" && n.Occasion != v.Occasion || n.Seq > v.Before || !slices.Contains(v.Events, n.Event) {
			continue
		}
		switch n.Status {
		case county.NoticeDue, county.NoticeUnknown:
			drop(&n, v.Reason)
		case county.NoticeSending, county.NoticeOpen, county.NoticeSent, county.NoticeFailed:
			drop(&n, strings.Replace(v.Reason, "retracted", "withdrawn", 1))
		default:
			continue
		}
		n.Version++
		m.notices[id] = n
	}
}

func (m *memory) ClaimNotices(_ context.Context, now time.Time, lease time.Duration, limit int) (out []county.Notice, err error) {
	for _, n := range m.notices {
		if !n.Next.IsZero() && !n.Next.After(now) {
			out = append(out, clone(n))
		}
	}
	slices.SortFunc(out, func(a, b county.Notice) int { return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.ID, b.ID)) })
	out = out[:min(limit, len(out))]
	if len(out) == 0 {
		return nil, nil
	}
	m.write("claim", func() {
		for i := range out {
			out[i].Version++
			n := clone(out[i])
			n.Next = now.Add(lease)
			m.notices[n.ID] = n
		}
	})
	return out, nil
}

func (m *memory) Notice(_ context.Context, id string) (county.Notice, bool, error) {
	n, ok := m.notices[id]
	return clone(n), ok, nil
}

func (m *memory) IntendNotice(_ context.Context, n *county.Notice, quotas []county.Quota) (ok bool, full string, err error) {
	if m.notices[n.ID].Version != n.Version {
		return false, "", nil
	}
	for _, q := range quotas {
		if m.counts[q.Key] >= q.Max {
			return false, q.Key, nil
		}
	}
	m.write("intent", func() {
		for _, q := range quotas {
			m.counts[q.Key]++
		}
		n.Version++
		m.notices[n.ID] = clone(*n)
	})
	return true, "", nil
}

func (m *memory) SaveNotice(_ context.Context, n *county.Notice, refs map[string]string, reports ...string) (bool, error) {
	if m.notices[n.ID].Version != n.Version {
		return false, nil
	}
	m.write("save", func() {
		n.Version++
		m.notices[n.ID] = clone(*n)
		for name, ref := range refs {
			m.refs[name] = ref
		}
		for _, id := range reports {
			delete(m.reports, id)
		}
	})
	return true, nil
}

func (m *memory) PutNoticeReport(_ context.Context, r county.NoticeReport) error {
	m.reports[fmt.Sprint(r.Ref, r.Delivered)] = r
	return nil
}

func (m *memory) ClaimNoticeReports(_ context.Context, now time.Time, lease time.Duration, limit int) (ids []string, out []county.NoticeReport, err error) {
	for id := range m.reports {
		if !m.until[id].After(now) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = ids[:min(limit, len(ids))]
	for _, id := range ids {
		m.until[id] = now.Add(lease)
		r := m.reports[id]
		if ref, ok := m.refs[r.Ref]; ok {
			r.Ref = ref
		}
		out = append(out, r)
	}
	return ids, out, nil
}

func (m *memory) DropNoticeReport(_ context.Context, id string) error {
	delete(m.reports, id)
	return nil
}

func (m *memory) NoticeHead(context.Context) (county.NoticeHead, error) {
	return county.NoticeHead{Store: m.name, Cursor: m.cursor, End: int64(len(m.facts)), Beat: m.beat}, nil
}

func (m *memory) BeatNotices(_ context.Context, now time.Time) error { m.beat = now; return nil }

func (m *memory) NameNoticeStore(_ context.Context, name string) error { m.name = name; return nil }

func (m *memory) HoldNotices(_ context.Context, point time.Time) (held int, err error) {
	m.write("hold", func() {
		if point.After(m.restored) {
			m.restored = point
		}
		for id, n := range m.notices {
			switch n.Status {
			case county.NoticeDue, county.NoticeSending, county.NoticeOpen:
				if !n.Evidence.After(point) {
					n.Status, n.Reason, n.Next = county.NoticeUnknown, "restored", time.Time{}
					n.Version++
					m.notices[id] = n
					held++
				}
			}
		}
	})
	return held, nil
}

func (m *memory) Wake() <-chan struct{} { return m.wake }

// copy is a backup.
func (m *memory) copy() *memory {
	c := *m
	c.facts = slices.Clone(m.facts)
	c.notices, c.refs, c.reports, c.until, c.counts, c.made = map[string]county.Notice{}, map[string]string{}, map[string]county.NoticeReport{}, map[string]time.Time{}, map[string]int64{}, map[string]int{}
	for k, v := range m.notices {
		c.notices[k] = clone(v)
	}
	for k, v := range m.refs {
		c.refs[k] = v
	}
	for k, v := range m.counts {
		c.counts[k] = v
	}
	return &c
}

// somebody is who all parcels are for.
type somebody struct {
	is      county.Recipient
	prefs   county.NoticePrefs
	unknown bool
}

func (s *somebody) Recipient(context.Context, string) (county.Recipient, county.NoticePrefs, bool, error) {
	return s.is, s.prefs, !s.unknown, nil
}
