package state

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
	"yizhan/devices/telemetry"
)

// A gauge counts the statements of transactions and the rows that they read.
type gauge struct {
	db
	statements, rows int
}

func (g *gauge) update(ctx context.Context, f func(conn) error) error {
	return g.db.update(ctx, func(c conn) error { return f(gaugedConn{c, g}) })
}

type gaugedConn struct {
	conn
	g *gauge
}

func (c gaugedConn) each(ctx context.Context, row func(func(...any) error) error, sql string, args ...any) error {
	c.g.statements++
	return c.conn.each(ctx, func(scan func(...any) error) error { c.g.rows++; return row(scan) }, sql, args...)
}

// A handheld that scans 80 times a second must not make each of its commits read all it scanned in the last minute.
func TestBurstOfScansIsLinear(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		g := &gauge{db: w.db}
		w.db = g
		w.tell("lk-a-1", cellEvent(1, 3, telemetry.CellOpened), cellEvent(2, 3, telemetry.CellDeposited))
		const commits, each = 50, 100
		var first, last, most int
		for n := range commits {
			var rs []telemetry.Reading
			for i := range each {
				rs = append(rs, scan(3+float64(n*each+i)*0.012, fmt.Sprintf("YZ-1%05d", n*each+i)))
			}
			g.rows, g.statements = 0, 0
			w.tell("lk-a-1", rs...)
			if last = g.rows; n == 1 {
				first = g.rows
			}
			most = max(most, g.statements)
		}
		require.LessOrEqual(t, last, first+10, "the last commit reads no more rows than the second")
		require.Less(t, first, 3*each)
		require.Less(t, most, 40)
		// and a deposit amid all this finds its scan
		w.tell("lk-a-1", scan(70, "YZ-000001"), cellEvent(71, 4, telemetry.CellOpened), cellEvent(75, 4, telemetry.CellDeposited))
		require.Equal(t, county.InLocker, w.timeline("YZ-000001").Stage)
	})
}

func (w *world) cell(n int) county.Cell {
	l, ok, err := w.Locker(w.t.Context(), "lk-a")
	require.NoError(w.t, err)
	require.True(w.t, ok)
	return l.Cells[n-1]
}

// The gateway was down when the parcel was put in, and again when it was taken out.
func TestWhatNobodySawIsStatedLater(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.tell("lk-a-1", stated(10, 2, false), stated(10, 3, true), scan(100, "YZ-000001"), stated(130, 2, true))
		require.Equal(t, county.CellOccupied, w.cell(2).State)
		require.Equal(t, "YZ-000001", w.cell(2).Waybill)
		require.Equal(t, county.CellOccupied, w.cell(3).State)
		require.Empty(t, w.cell(3).Waybill, "of which nothing was known")
		tl := w.timeline("YZ-000001")
		require.Equal(t, county.InLocker, tl.Stage)
		require.Equal(t, telemetry.Unknown, tl.Evidence[len(tl.Evidence)-1].TQ)
		w.tell("lk-a-1", stated(200, 2, true))
		require.Equal(t, "YZ-000001", w.cell(2).Waybill, "said again")
		w.tell("lk-a-1", stated(300, 2, false))
		require.Equal(t, county.CellEmpty, w.cell(2).State)
		require.Empty(t, w.cell(2).Waybill)
		tl = w.timeline("YZ-000001")
		require.Equal(t, county.PickedUp, tl.Stage)
		require.Equal(t, at(300), tl.Since)
		require.Equal(t, telemetry.Unknown, tl.Evidence[len(tl.Evidence)-1].TQ)

		// what was told at the time comes after all, from another epoch: it was no late one then
		w.commit(w.arrival(&sender{gateway: "lk-a-1", epoch: 99, lane: telemetry.Custody, next: 1},
			entry(cellEvent(105, 2, telemetry.CellDeposited)), entry(cellEvent(250, 2, telemetry.CellEmptied))))
		tl = w.timeline("YZ-000001")
		require.Equal(t, at(250), tl.Since)
		require.Equal(t, telemetry.NTP, tl.Evidence[len(tl.Evidence)-1].TQ)
		w.tell("lk-a-1", scan(400, "YZ-000002"), stated(600, 2, true))
		require.Equal(t, county.CellOccupied, w.cell(2).State)
		require.Empty(t, w.cell(2).Waybill, "scanned too long before")
	})
}

// The board is polled: the next parcel is scanned before the last door is told shut.
func TestNextScanOvertakesADeposit(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		w.tell("lk-a-1", scan(100, "YZ-000001"), cellEvent(103, 1, telemetry.CellOpened), scan(108.6, "YZ-000002"), cellEvent(109, 1, telemetry.CellDeposited))
		require.Equal(t, "YZ-000001", w.cell(1).Waybill)
		require.Equal(t, county.AtOutlet, w.timeline("YZ-000002").Stage)
		w.tell("lk-a-1", cellEvent(112, 2, telemetry.CellOpened), cellEvent(120, 2, telemetry.CellDeposited))
		require.Equal(t, "YZ-000002", w.cell(2).Waybill)
		require.Equal(t, county.InLocker, w.timeline("YZ-000002").Stage)
	})
}

// A board that repeats what was not acknowledged tells its readings in any order: they count in the order of their own time.
func TestADayToldBackwards(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		w.waybill("YZ-000001", "")
		w.waybill("YZ-000002", "")
		day := []telemetry.Reading{
			scan(100, "YZ-000001"), cellEvent(103, 1, telemetry.CellOpened), scan(108.6, "YZ-000002"), cellEvent(109, 1, telemetry.CellDeposited),
			cellEvent(112, 2, telemetry.CellOpened), cellEvent(120, 2, telemetry.CellDeposited), cellEvent(500, 1, telemetry.CellOpened), cellEvent(510, 1, telemetry.CellEmptied),
		}
		slices.Reverse(day)
		w.tell("lk-a-1", day...)
		require.Equal(t, county.PickedUp, w.timeline("YZ-000001").Stage)
		require.Equal(t, county.InLocker, w.timeline("YZ-000002").Stage)
		require.Equal(t, county.CellEmpty, w.cell(1).State)
		require.Equal(t, "YZ-000002", w.cell(2).Waybill)
	})
}
