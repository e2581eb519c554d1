package cabinet

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"yizhan/broker/pickup"
	"yizhan/devices/telemetry"
)

const s, m, l = pickup.Small, pickup.Medium, pickup.Large

func TestAParcelGoesInAndOut(t *testing.T) {
	k := newStand(t, 1, l, s, m, s)
	k.expects(list)
	require.Equal(t, "put 2", k.scans("yl000100001 "), "the smallest, and of these the first")
	require.Equal(t, "opening 2", k.words[len(k.words)-2])
	k.shut(2, true)
	require.Equal(t, "done 2", k.word())
	in := k.last()
	require.Equal(t, telemetry.CellDeposited, in.Event)
	require.Equal(t, "YL000100001", in.Waybill)
	require.Regexp(t, "^d-[0-9a-f]{16}$", in.Deposit)
	require.Equal(t, telemetry.Some(1), in.Generation)
	require.NoError(t, telemetry.New("board", time.Time{}, telemetry.Unknown, in).Validate())
	require.Equal(t, "already_here 2", k.scans("YL000100001"))

	require.Equal(t, "put 3", k.scans("YL000100002"))
	k.shut(3, true)
	for n := range pickup.Codes {
		require.Equal(t, "take 2", k.types(k.code(2, n)), "code %d", n)
		k.shut(2, true)
		require.Equal(t, "closed 2", k.word(), "it was left inside")
		require.Equal(t, in.Deposit, k.last().Deposit)
	}
	code := k.code(2, 0)
	require.Equal(t, "take 2", k.types(strings.Replace(code, "#", "", 1)), "without the divider")
	k.shut(2, false)
	require.Equal(t, "emptied 2", k.word())
	require.Equal(t, telemetry.CellEmptied, k.last().Event)
	require.Equal(t, in.Deposit, k.last().Deposit)
	require.Equal(t, "YL000100001", k.last().Waybill)
	require.Equal(t, "code", k.last().By)

	require.Equal(t, "take 2", k.types(code), "something was forgotten")
	k.shut(2, false)
	require.Equal(t, "closed 2", k.word())
	k.pass(reopenFor - time.Second)
	require.Equal(t, "take 2", k.types(code))
	k.shut(2, false)
	k.pass(time.Second)
	require.Equal(t, "wrong", k.types(code), "three minutes are over")
	require.Empty(t, k.core.tries.WrongMS, "an empty cell costs nothing")
	require.NotNil(t, k.core.at(3).Deposit)
	for op, n := range k.pulses {
		require.Equal(t, 1, n, op)
	}
	var events []telemetry.CellEvent
	for _, b := range k.told {
		events = append(events, b.(telemetry.Locker).Event)
	}
	require.Len(t, events, 9, "each accepted, told once")
}

// A new key is there because the old one may be in other hands: what lies here opens with codes of the new one only, through restarts too. What
// is told of the deposit says under which key it was put in.
func TestAnotherKey(t *testing.T) {
	k := newStand(t, 9, s, s)
	k.expects(list)
	k.scans("YL000100001")
	k.shut(1, true)
	old, ticket := k.code(1, 0), pickup.Ticket(k.key.Secret, k.core.at(1).Deposit.ID, 0)
	k.key = pickup.Key{Locker: "lk-a", Generation: 2, Secret: pickup.LockerKey(master, "lk-a", 2)}
	k.start()
	require.Equal(t, "wrong", k.types(old))
	require.Equal(t, "wrong", k.scans(ticket))
	require.Equal(t, "take 1", k.types(k.code(1, 0)))
	k.shut(1, false)
	require.Equal(t, telemetry.CellEmptied, k.last().Event)
	require.Equal(t, telemetry.Some(1), k.last().Generation)
	k.scans("YL000100002")
	k.shut(2, true)
	require.Equal(t, telemetry.Some(2), k.last().Generation)
}

func TestDepositsRefused(t *testing.T) {
	k := newStand(t, 2, s, m)
	require.Equal(t, "no_list", k.scans("YL000100001"))
	k.expects(list)
	for scan, word := range map[string]string{
		"YL000100003": "no_consent", "YL000100004": "no_consent", "YL000199999": "unknown_waybill", "YL000100005": "full", "YL000100006": "needs_cold",
	} {
		before := len(k.told)
		require.Equal(t, word, k.scans(scan))
		require.Equal(t, telemetry.Alarm{Code: "deposit_refused", Severity: telemetry.Minor, Detail: word + " " + scan}, k.told[before])
	}
	require.Equal(t, "unknown_waybill", k.scans("soap"))
	require.Len(t, k.told, 6, "soap is nobody's parcel")
	for range 100 {
		k.scans("YL000199999")
	}
	require.Len(t, k.told, alarmsAnHour, "a child at the scanner")
	require.Zero(t, k.allPulses())

	k.expects(`{"series":"a","version":2,"parcels":[]}`)
	require.Equal(t, "unknown_waybill", k.scans("YL000100001"))
	k.expects(list)
	require.Equal(t, "unknown_waybill", k.scans("YL000100001"), "an older list came late")
	k.expects(strings.Replace(list, `"a"`, `"b"`, 1))
	require.Equal(t, "put 1", k.scans("YL000100001"), "a new series: the database was restored")
	_, err := k.core.Expect([]byte(`{"parcels":[{}]}`))
	require.Error(t, err)
}

func TestTheNextCell(t *testing.T) {
	k := newStand(t, 3, s, s, s, m)
	k.expects(list)
	k.doors[1].jammed = true
	require.Equal(t, "put 2", k.scans("YL000100001"), "the first jams")
	require.True(t, k.core.at(1).Fault)
	require.Contains(t, fmt.Sprint(k.told), "pulse_sent")
	require.Equal(t, "put 4", k.types("0"), "too small: a larger one")
	k.shut(2, false)
	require.Equal(t, "cancelled 2", k.word())
	k.shut(4, true)
	require.Equal(t, "YL000100001", k.last().Waybill)
	require.Equal(t, 4, k.last().Cell.Or(0))
	require.Nil(t, k.core.at(2).Deposit)

	require.Equal(t, "put 2", k.scans("YL000100007"))
	require.Equal(t, "close_empty 2", k.types("*"))
	k.shut(2, false)
	require.Equal(t, "cancelled 2", k.word())
	require.Empty(t, k.last().Deposit, "nothing came of it")
	require.Equal(t, "put 2", k.scans("YL000100007"))
	require.Equal(t, "put 3", k.types("0"))
	k.shut(2, true) // put in all the same: what lies there counts
	require.Equal(t, "YL000100007", k.last().Waybill)
	k.shut(3, false)
	require.Equal(t, "cancelled 3", k.word())

	k.doors[1].jammed = false
	k.doors[1].open = true
	k.look()
	require.False(t, k.core.at(1).Fault, "it opens again")
}

func TestSettingsOfACounty(t *testing.T) {
	k := newStand(t, 13, s, s)
	k.expects(strings.Replace(list, `"version":1`, `"version":1,"settings":{"codes":1,"reopen_s":-1}`, 1))
	k.scans("YL000100001")
	k.shut(1, true)
	require.Equal(t, "wrong", k.types(k.code(1, 1)), "no second code here")
	require.Equal(t, "wrong", k.scans(pickup.Ticket(k.key.Secret, k.last().Deposit, 1)))
	code := k.code(1, 0)
	require.Equal(t, "take 1", k.types(code))
	k.shut(1, false)
	require.Equal(t, "wrong", k.types(code), "and no second opening")
}

// Three minutes are over for good: a start doesn't begin them anew.
func TestReopeningEndsOverAStart(t *testing.T) {
	for _, dated := range []bool{true, false} {
		k := occupied(t, 14)
		if !dated {
			k.wall = time.Time{}
		}
		code := k.code(1, 0)
		k.types(code)
		k.shut(1, false)
		k.start()
		require.Equal(t, "take 1", k.types(code), "a start within the three minutes")
		k.shut(1, false)
		k.pass(reopenFor)
		k.start()
		require.Equal(t, "wrong", k.types(code))
	}
}

// A card that was copied and is put back: the ids of empty cells are drawn anew, or the code of a parcel that is gone would open the next one.
func TestARestoredCard(t *testing.T) {
	for _, sensors := range []bool{true, false} {
		k := newStand(t, 16, s)
		k.sensors = sensors
		k.start()
		k.expects(list)
		copied := append([]byte(nil), k.disk.b...)
		k.scans("YL000100001")
		k.shut(1, true)
		old := k.code(1, 0)
		k.types(old)
		k.shut(1, false)
		k.disk.b = copied
		k.start()
		k.scans("YL000100007")
		k.shut(1, true)
		require.Equal(t, "YL000100007", k.core.at(1).Deposit.Waybill)
		require.NotEqual(t, old, k.code(1, 0), "sensors %t", sensors)
		require.Equal(t, "wrong", k.types(old))
	}
}

func TestADoorLeftOpen(t *testing.T) {
	k := occupied(t, 15)
	k.types(k.code(1, 0))
	for range 5 {
		k.pass(screenFor)
		require.Equal(t, "close_door 1", k.word())
	}
	k.shut(1, false)
	require.Equal(t, "emptied 1", k.word())
	k.pass(screenFor)
	require.Equal(t, "ready", k.word())
	n := len(k.words)
	k.pass(time.Hour)
	require.Len(t, k.words, n, "it stays")
}

func TestWrongDoor(t *testing.T) {
	k := newStand(t, 4, s, s)
	k.expects(list)
	k.do(k.core.Scan(k.now(), "YL000100001"))
	k.says(telemetry.Locker{Cell: telemetry.Some(2), Event: telemetry.CellForced})
	require.Equal(t, "wrong_door 2", k.word())
	wrong := k.told[len(k.told)-1].(telemetry.Locker)
	require.Equal(t, telemetry.CellWrongDoor, wrong.Event)
	require.Equal(t, k.core.busy, wrong.Op)
}

// A board that is asked for one door alone while its driver waits for it tells of the others when that is over.
func TestWrongDoorToldAfterwards(t *testing.T) {
	for _, late := range []bool{false, true} {
		k := newStand(t, 4, s, s, s)
		k.expects(list)
		k.do(k.core.Scan(k.now(), "YL000100001"))
		op := k.core.busy
		k.do(k.core.Outcome(k.now(), telemetry.Result{Command: op, Outcome: telemetry.OutcomeUnknown, Detail: "jammed"}))
		require.Equal(t, "next_cell 2", k.word())
		k.mono += wrongFor - time.Millisecond
		if late {
			k.mono += time.Millisecond
			op = k.core.busy // now it is more likely the next one's
		}
		k.says(telemetry.Locker{Cell: telemetry.Some(3), Event: telemetry.CellForced})
		require.Equal(t, "wrong_door 3", k.word())
		wrong := k.told[len(k.told)-1].(telemetry.Locker)
		require.Equal(t, op, wrong.Op)
	}
}

func TestBusy(t *testing.T) {
	k := newStand(t, 5, s, s, s)
	k.expects(list)
	k.do(k.core.Scan(k.now(), "YL000100001"))
	require.Equal(t, "busy", func() string { k.do(k.core.Scan(k.now(), "YL000100002")); return k.word() }())
	k.relay()
	k.shut(1, true)
	code := k.code(1, 0)
	k.do(k.core.Entry(k.now(), code))
	k.do(k.core.Entry(k.now(), code))
	require.Equal(t, "busy", k.word())
	k.pass(pulseWithin + time.Second)
	k.relay()
	require.Equal(t, "try_again 1", k.word(), "the relay was too late")
	require.Equal(t, 1, k.allPulses())
	require.Equal(t, "take 1", k.types(code))
	require.Equal(t, "stands_open 1", k.types(code))
}

func TestCouriersAndBlockedDeposits(t *testing.T) {
	badge := pickup.BadgePrefix + strings.Repeat("B4", 12)
	with := func(version int, more string) string {
		return fmt.Sprintf(`{"series":"a","version":%d,"couriers":[{"id":"c1","badge":%q}],"parcels":[{"waybill":"YL000100001","consent":"yes"}]%s}`, version, pickup.BadgeHash(badge), more)
	}
	k := newStand(t, 6, s, s)
	k.expects(with(1, ""))
	require.Equal(t, "sign_on", k.scans("YL000100001"))
	require.Equal(t, "wrong", k.scans(badge+"x"))
	require.Equal(t, "welcome", k.scans(badge))
	require.Equal(t, "put 1", k.scans("YL000100001"))
	k.shut(1, true)
	id := k.last().Deposit
	require.Equal(t, "c1", k.core.at(1).Deposit.Courier)
	k.expects(with(2, fmt.Sprintf(`,"blocked":[%q]`, id)))
	require.Equal(t, "overdue 1", k.types(k.code(1, 0)))
	require.Equal(t, "overdue 1", k.scans(pickup.Ticket(k.key.Secret, id, 0)))
	require.Empty(t, k.core.tries.WrongMS)
	k.pass(signedOn)
	require.Equal(t, "already_here 1", k.scans("YL000100001"), "signed off")
	k.scans(badge)
	require.Equal(t, "take 1", k.scans("YL000100001"), "only a courier takes it back")
	k.shut(1, false)
	require.Equal(t, []string{"emptied", "courier", id}, []string{string(k.last().Event), k.last().By, k.last().Deposit})
	require.Equal(t, "sign_on", func() string { k.pass(signedOn); return k.scans("YL000100001") }())
}

func TestTicketsNeedNoPatience(t *testing.T) {
	k := newStand(t, 7, s, s)
	k.expects(list)
	k.scans("YL000100001")
	k.shut(1, true)
	id := k.last().Deposit
	for i := range 30 {
		k.types(k.wrongFor(1, 1000*i))
	}
	require.Equal(t, "wait", k.types(k.code(1, 0)))
	ticket := pickup.Ticket(k.key.Secret, id, 1)
	require.Equal(t, "wrong", k.scans(ticket[:len(ticket)-1]))
	require.Equal(t, "take 1", k.scans(ticket))
	k.shut(1, false)
	require.Equal(t, "take 1", k.scans(ticket), "within three minutes")
	k.shut(1, false)
	k.pass(reopenFor)
	require.Equal(t, "nothing_here", k.scans(ticket))
	k.key.Secret = pickup.LockerKey(master, "lk-a", 2)
	k.core.Key(&k.key)
	require.Equal(t, "wrong", k.scans(ticket), "the card was stolen, the key is another one")
}

// An emptied cell that somebody may open again is the last to be given away, and the old code ends with the new parcel.
func TestAnOldCodeOpensNoNewParcel(t *testing.T) {
	k := newStand(t, 8, s, s)
	k.expects(list)
	k.scans("YL000100001")
	k.shut(1, true)
	old := k.code(1, 0)
	k.types(old)
	k.shut(1, false)
	require.Equal(t, "put 2", k.scans("YL000100007"))
	k.shut(2, true)
	require.Equal(t, "put 1", k.scans("YL000100008"), "the last one there is")
	require.Equal(t, "wrong", func() string { k.do(k.core.Entry(k.now(), old)); return k.word() }())
	k.shut(1, true)
	require.NotEqual(t, old, k.code(1, 0))
	require.Equal(t, "wrong", k.types(old))
}

func TestWithoutSensors(t *testing.T) {
	k := newStand(t, 9, s, s)
	k.sensors = false
	k.start()
	k.expects(list)
	require.Equal(t, "put 1", k.scans("YL000100001"))
	k.shut(1, true)
	require.Equal(t, []string{"deposited", "YL000100001"}, []string{string(k.last().Event), k.last().Waybill})
	require.False(t, k.last().Occupied.Known(), "no sensor has seen it")
	again := k.says(telemetry.Locker{Cell: telemetry.Some(1), Event: telemetry.CellClosed})
	require.Equal(t, k.last().Deposit, again.Deposit)
	require.Equal(t, telemetry.CellDeposited, again.Event, "told again")
	require.Equal(t, "put 2", k.scans("YL000100007"))
	k.types("*")
	k.shut(2, false)
	require.Equal(t, "cancelled 2", k.word())
	require.Equal(t, "take 1", k.types(k.code(1, 0)))
	k.shut(1, false)
	require.Equal(t, telemetry.CellEmptied, k.last().Event)
	require.Nil(t, k.core.at(1).Deposit)
}

// What was in the cells when the cabinet came, and what is put in by a remote command, has an id as well: a code can be made for it.
func TestDepositsOfOthers(t *testing.T) {
	k := newStand(t, 10, s, s)
	k.doors[2].item = true
	k.disk.b = nil
	k.start()
	require.Equal(t, telemetry.CellClosed, k.last().Event)
	require.Regexp(t, "^d-", k.last().Deposit)
	require.Equal(t, "take 2", k.types(k.code(2, 0)))
	k.shut(2, false)
	k.doors[1].open = true // a remote command
	k.look()
	k.shut(1, true)
	require.Equal(t, telemetry.CellDeposited, k.last().Event)
	id := k.last().Deposit
	require.Regexp(t, "^d-", id)
	k.start()
	require.Equal(t, id, k.core.at(1).Deposit.ID)
}

func TestOutOfOrder(t *testing.T) {
	k := newStand(t, 11, s)
	k.expects(list)
	k.disk.after = 0
	require.Equal(t, "out_of_order", k.scans("YL000100001"), "the intent can't be written")
	require.Zero(t, k.allPulses())
	k.disk.after = -1
	require.Equal(t, "put 1", k.scans("YL000100001"), "the card is back")
	k.shut(1, true)
	k.core.Key(nil)
	require.Equal(t, "out_of_order", k.types(k.code(1, 0)))
	require.Equal(t, "out_of_order", k.scans(pickup.TicketPrefix+"x"))
	for keys, word := range map[string]string{"": "cell_and_code", "12": "cell_and_code", "1#12345": "cell_and_code", "0": "scan_first", "*": "ready", "99999#123456": "cell_and_code"} {
		require.Equal(t, word, k.types(keys), keys)
	}
	b := openBook(&lostDisk{})
	c := newCore(b, k.sizes, func(string) (telemetry.Result, bool) { return telemetry.Result{}, false }, source{k.rng})
	key := k.key
	c.Key(&key)
	require.Equal(t, "out_of_order", c.Entry(k.now(), "1#000000")[0].Show.Word)
	require.Equal(t, "out_of_order", c.Scan(k.now(), "YL000100001")[0].Show.Word)
	require.Error(t, b.write(&change{}))
}

type lostDisk struct{ disk }

func (*lostDisk) Read() ([]byte, error) { return nil, errIO }

// A board that says once more what is shut, between the intent and the pulse, doesn't end the op.
func TestAStatementOfBefore(t *testing.T) {
	k := newStand(t, 12, s)
	k.expects(list)
	k.do(k.core.Scan(k.now(), "YL000100001"))
	k.says(telemetry.Locker{Cell: telemetry.Some(1), Event: telemetry.CellClosed, Occupied: telemetry.Some(false)})
	k.relay()
	require.Equal(t, "put 1", k.word())
	k.shut(1, true)
	require.Equal(t, "YL000100001", k.last().Waybill)
}
