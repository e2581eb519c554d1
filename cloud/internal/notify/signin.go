package notify

import (
	"time"

	"yizhan/cloud/internal/county"
)

// SignIn is the notice of a sign-in's code, which is derived of its nonce when it is sent. It goes to the phone of a parcel's recipient, at any hour and
// whatever else they want to hear of, for they have just asked for it; not by mail; and not after until.
func SignIn(w county.Waybill, nonce string, now, until time.Time) county.Notice {
	return county.Notice{
		ID: NoticeID(w.Waybill, county.NoticeSignIn, nonce, Recipient), Waybill: w.Waybill, Event: county.NoticeSignIn, Occasion: nonce, Kind: Recipient,
		Status: county.NoticeDue, About: county.NoticeAbout{Site: w.Site, Until: until}, Evidence: now, Due: now, Next: now, Created: now, Changed: now, Version: 1,
	}
}
