package notify

import (
	"regexp"
	"slices"

	"yizhan/cloud/internal/county/channels"
)

// match is a channels.Match that is ready.
type match struct {
	set channels.Match
	re  *regexp.Regexp
}

// newMatch makes one of settings that are checked.
func newMatch(set channels.Match) *match { return &match{set: set, re: whole(set.Match)} }

// whole is a pattern for all of a value; an empty one fits anything but nothing.
func whole(pattern string) *regexp.Regexp {
	if pattern == "" {
		pattern = ".+"
	}
	return regexp.MustCompile(`(?s)^(?:` + pattern + `)$`)
}

func (m *match) fits(a *answer) bool {
	if len(m.set.Status) > 0 && !slices.Contains(m.set.Status, a.status) {
		return false
	}
	return m.set.Field == "" || m.re.MatchString(a.field(m.set.Field))
}
