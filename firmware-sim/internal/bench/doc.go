// Package bench runs a county in one process: a cloud, gateways and the network between them, all
// of the machine's parts handed in. It is the one package that imports both faces,
// gateway/edge and cloud/service.
//
//	b := bench.New(dir, kinds)               // authority, county, cloud config
//	err := b.Start(ctx)                      // the cloud
//	g, err := b.Gateway("van-01", devices, open)
//	err = g.Run(ctx)                         // until ctx ends; may be run again: same card, new epoch
//
// Connections go through a Net: net.Pipe by address, no sockets, so that inside a testing/synctest
// bubble an hour of outage takes no time. Cut takes the link between gateways and cloud away, as
// a valley does; Mend brings it back.
//
// What it doesn't do: bytes on a wire, latency, or a disk that fails; cards are real folders.
package bench
