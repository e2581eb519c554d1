// Command bench-loss plays one story of faults through three ways from a device to a consumer, and counts what is lost,
// doubled and out of order.
//
//	bench-loss [-bin bin] [-rate 200] [-only ours,bridge,paho] [-keep]
//
// The device is the same for all: it numbers its readings, publishes at QoS 1, and sends again what was not acknowledged.
// What it was told is safe and never arrives is lost. The ways:
//
//	ours    the gateway and the cloud of this repository; arrived is what stands in the cloud's database
//	bridge  Mosquitto at the edge with a bridge (persistence, a save at every change, no clean session, QoS 1, no bound
//	        on its queue), Mosquitto in the cloud with the same persistence, a subscriber with a persistent session
//	paho    a program with Eclipse Paho and its file store, which acknowledges the device when Publish has returned,
//	        to the same Mosquitto and subscriber
//
// The story: the link is cut; the edge's program is killed with -9, also while the link is cut, and again and again; the cloud's
// broker is killed; the consumer is down for a while; the cloud's broker loses its disk while the consumer is down. Of our own
// way the broker and the consumer are one program, the cloud: it is killed where the others' broker is, and its broker has no
// disk to lose. Its state is the database, which takes the place of what the subscriber writes down.
//
// All is on the loopback, the link is a forwarder that can be cut. mosquitto must be installed, the gateway and
// the cloud built. It takes about three minutes.
package main
