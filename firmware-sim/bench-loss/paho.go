package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// pahoMain is a program of the usual kind: it takes a device's publishes and hands them to Paho, which keeps them in its file
// store until the broker has acknowledged them.
func pahoMain(ctx context.Context, listen, broker, store string) error {
	o := mqtt.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("edge").SetCleanSession(false).SetAutoReconnect(true).
		SetConnectRetry(true).SetConnectRetryInterval(500 * time.Millisecond).SetMaxReconnectInterval(time.Second).SetKeepAlive(5 * time.Second).
		SetStore(mqtt.NewFileStore(store)).SetOrderMatters(true)
	c := mqtt.NewClient(o)
	c.Connect() // it tries until it succeeds
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	var work sync.WaitGroup
	defer work.Wait()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		work.Go(func() {
			defer conn.Close()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			_ = hear(conn, c) // the device dials again
		})
	}
}

var errPacket = errors.New("not a packet that a device sends")

// hear serves a device: as little of an MQTT broker as it needs.
func hear(conn net.Conn, c mqtt.Client) error {
	r := bufio.NewReader(conn)
	for {
		first, err := r.ReadByte()
		if err != nil {
			return err
		}
		size, err := binary.ReadUvarint(r)
		if err != nil || size > 1<<16 {
			return errors.Join(errPacket, err)
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return err
		}
		var answer []byte
		switch first & 0xf0 {
		case 0x10:
			answer = []byte{0x20, 2, 0, 0}
		case 0xc0:
			answer = []byte{0xd0, 0}
		case 0x30:
			if answer, err = pass(body, c); err != nil {
				return err
			}
		default:
			return errPacket
		}
		if _, err := conn.Write(answer); err != nil {
			return err
		}
	}
}

// pass publishes what a device published. Its PUBACK follows when Paho has taken the message over into its store.
func pass(body []byte, c mqtt.Client) (puback []byte, err error) {
	if len(body) < 2 {
		return nil, errPacket
	}
	n := 2 + int(binary.BigEndian.Uint16(body))
	if len(body) < n+2 {
		return nil, errPacket
	}
	t := c.Publish(string(body[2:n]), 1, false, body[n+2:])
	select {
	case <-t.Done():
		if t.Error() != nil {
			return nil, t.Error()
		}
	default: // taken over, not delivered yet
	}
	return []byte{0x40, 2, body[n], body[n+1]}, nil
}
