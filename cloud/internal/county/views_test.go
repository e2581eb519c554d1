package county_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"yizhan/cloud/internal/county"
)

func TestViews(t *testing.T) {
	for _, c := range []struct {
		stage                            county.Stage
		direction                        county.Direction
		wrong                            bool
		tracking, logistics, leg, orders string
	}{
		{county.Created, county.ToVillage, false, "order", "", "", "awaiting_dispatch"},
		{county.AtWarehouse, county.ToVillage, false, "processing", "", "warehouse", "awaiting_dispatch"},
		{county.Sorted, county.ToVillage, false, "processing", "", "sorting", "awaiting_dispatch"},
		{county.Loaded, county.ToVillage, false, "carrier_dispatch", "dispatched", "delivery", "awaiting_receipt"},
		{county.InTransit, county.ToVillage, false, "in_transit", "in_transit", "delivery", "awaiting_receipt"},
		{county.AtOutlet, county.ToVillage, false, "in_transit", "delivered", "terminal", "awaiting_receipt"},
		{county.InLocker, county.ToVillage, false, "in_transit", "delivered", "terminal", "awaiting_receipt"},
		{county.OutForDelivery, county.ToVillage, false, "in_transit", "in_transit", "terminal", "awaiting_receipt"},
		{county.PickedUp, county.ToVillage, false, "signed_for", "delivered", "terminal", "awaiting_receipt"},
		{county.SignedFor, county.ToVillage, false, "signed_for", "delivered", "terminal", "awaiting_receipt"},
		{county.Completed, county.ToVillage, false, "completed", "delivered", "", "completed"},
		{county.Returned, county.ToVillage, false, "completed", "", "", "closed"},
		{county.LostClosed, county.ToVillage, false, "completed", "", "", "closed"},
		{county.InTransit, county.ToVillage, true, "exception", "in_transit", "delivery", "awaiting_receipt"}, // an overlay: it can still be delivered
		{county.Completed, county.ToVillage, true, "completed", "delivered", "", "completed"},
		{county.AtOutlet, county.FromVillage, false, "processing", "", "terminal", "awaiting_dispatch"},
		{county.AtWarehouse, county.FromVillage, false, "in_transit", "in_transit", "warehouse", "awaiting_receipt"},
		{county.Completed, county.FromVillage, false, "completed", "dispatched", "", "completed"},
	} {
		require.Equal(t, county.Views{Tracking: c.tracking, Logistics: c.logistics, Leg: c.leg, Order: c.orders}, county.ViewsOf(c.stage, c.direction, c.wrong), "%s %s", c.stage, c.direction)
	}
}
